import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { revertMigration } from '../../../src/operations/migrate/revert.ts';
import { movePlainly } from '../../../src/operations/plain-move/plain-move.ts';
import type { PlainMoveReport } from '../../../src/operations/plain-move/plain-move-report.ts';
import { startGuest } from '../../../src/operations/guests/start-guest.ts';
import { ExchangeWorld } from '../../support/archives/exchange-world.ts';
import { codeOf, failureOf } from '../../support/failures.ts';
import { fakeDefinition, fakeDriver, type FakeDriver } from '../../support/guests/fake-driver.ts';
import { scratchDirectory } from '../../support/images/images.ts';
import { fileSha256, writeSparseImage } from '../../support/images/sparse-images.ts';
import { describeWithTools } from '../../support/programs/tools.ts';
import { startSshServer, type TestSshServer } from '../../support/ssh/ssh-server.ts';

const MIB = 2 ** 20;

describeWithTools(
  'a move through bzip2',
  ['sshd', 'ssh-keygen', 'bzip2', 'bunzip2', 'dd', 'sha256sum'],
  () => {
    const programs = scratchDirectory();
    let server: TestSshServer;
    let world: ExchangeWorld;
    let driver: FakeDriver;
    let there: string;
    let images: string[];

    beforeAll(async () => {
      // The programs there: those of this directory come first.
      const path = `PATH=${programs.path}:/usr/bin:/bin`;
      server = await startSshServer({ sshdConfig: [`SetEnv ${path}`] });
    });
    afterAll(async () => {
      await server.stop();
      programs[Symbol.dispose]();
    });

    beforeEach(() => {
      for (const name of readdirSync(programs.path)) rmSync(join(programs.path, name));
      world = new ExchangeWorld();
      there = join(world.path, 'there');
      mkdirSync(there);
      images = ['root.img', 'data.img'].map((name) => join(world.path, name));
      for (const [index, image] of images.entries())
        writeSparseImage(image, {
          sectors: 16 * 2048 + index,
          pieces: [
            { sector: 0, sectors: 100, kind: 'noise' },
            { sector: 20_000, sectors: 3000, kind: 'text' },
          ],
        });
      driver = fakeDriver(fakeDefinition('web', images, { kernel: '/usr/bin/linux.uml' }));
      world.drivers = [driver];
    });
    afterEach(() => world[Symbol.asyncDispose]());

    function program(name: string, text: string): void {
      const path = join(programs.path, name);
      writeFileSync(path, `#!/bin/sh\n${text}\n`);
      chmodSync(path, 0o755);
    }

    function move(guest = 'web'): Promise<PlainMoveReport> {
      const { destination, sshConfigFile } = server;
      const request = {
        guest,
        target: { destination, directory: there, sshConfigFile },
        everyBlock: false,
        forceHalt: false,
        haltTimeoutMs: 1000,
        bootTimeoutMs: 1000,
      };
      return movePlainly(request, world.dependencies(), world.context);
    }

    test('halts the guest, has each disk checked there, and fences the guest here until a revert', async () => {
      const { records } = world.dependencies();
      const claimed: unknown[] = [];
      world.onEvent = ({ type }) => {
        if (type === 'progress')
          claimed.push(records.read('web').then((record) => record?.copying?.mover?.pid));
      };
      const report = await move();
      // No other process could move it meanwhile.
      expect(new Set(await Promise.all(claimed))).toEqual(new Set([process.pid]));
      expect(driver.history).toEqual(['halt web']);
      expect(readdirSync(there).sort()).toEqual(['data.img', 'root.img']);
      for (const [index, image] of images.entries()) {
        const target = report.disks[index]?.target ?? '';
        expect(await fileSha256(target)).toBe(await fileSha256(image));
        expect(statSync(target).blocks * 512).toBeLessThan(4 * MIB);
        expect(statSync(target).mode & 0o777).toBe(0o600);
      }
      expect(report.startText).toContain(`ubd0=${join(there, 'root.img')}`);
      const dependencies = world.dependencies();
      const start = { guest: 'web', bootTimeoutMs: 1000 };
      expect(await failureOf(() => startGuest(start, dependencies, world.context))).toMatchObject({
        code: 'guest-fenced',
        message: expect.stringContaining(`moved to ${server.destination}`),
        advice: expect.stringContaining('revert web --new-host-is-gone'),
      });
      const revert = (newHostIsGone: boolean) =>
        revertMigration(
          { guest: 'web', newHostIsGone, forceHalt: false, haltTimeoutMs: 1000, bootTimeoutMs: 1000 },
          dependencies,
          world.context,
        );
      expect(await codeOf(() => revert(false))).toBe('guest-fenced');
      await revert(true);
      expect(driver.history).toEqual(['halt web', 'start web']);
    });

    test.each([
      ['whose disk differs there', 'verification-failed', 'sha256sum', `echo "${'0'.repeat(64)}  -"`],
      ['whose bunzip2 fails there', 'transfer-failed', 'bunzip2', 'echo out of order >&2; exit 1'],
    ])('starts a guest again %s, and leaves nothing', async (_, code, name, text) => {
      program(name, text);
      expect(await codeOf(() => move())).toBe(code);
      expect(driver.history).toEqual(['halt web', 'start web']);
      expect(readdirSync(there)).toEqual([]);
      // Nothing keeps it here.
      expect(driver.running.has('web')).toBe(true);
    });

    test('that is interrupted starts the guest again, and leaves nothing', async () => {
      world.onEvent = ({ type }) => {
        if (type === 'progress') world.abort(new Error('interrupted'));
      };
      await expect(move()).rejects.toThrow('interrupted');
      expect(driver.history).toEqual(['halt web', 'start web']);
      expect(readdirSync(there)).toEqual([]);
    });

    test('that finds the guest started again after the fence leaves it where it runs', async () => {
      program('sync', `echo changed >>'${images[1] ?? ''}'; exec /bin/sync`);
      expect(await codeOf(() => move())).toBe('image-in-use');
      expect(readdirSync(there)).toEqual([]);
      expect(driver.running.has('web')).toBe(true);
      const start = { guest: 'web', bootTimeoutMs: 1000 };
      expect(await codeOf(() => startGuest(start, world.dependencies(), world.context))).toBe(
        'guest-already-running',
      );
    });

    test('does not touch a guest if it could not succeed', async () => {
      writeFileSync(join(there, 'data.img'), 'precious');
      expect(await codeOf(() => move())).toBe('target-exists');
      there = join(world.path, 'nowhere');
      expect(await codeOf(() => move())).toBe('target-missing');
      expect(driver.history).toEqual([]);
      expect(readFileSync(join(world.path, 'there', 'data.img'), 'utf8')).toBe('precious');
    });

    test('takes an image that no guest uses', async () => {
      driver.running.clear();
      const report = await move(images[0]);
      expect(report).toMatchObject({ guest: 'root.img', startText: null });
      expect(await fileSha256(join(there, 'root.img'))).toBe(await fileSha256(images[0] ?? ''));
    });
  },
);
