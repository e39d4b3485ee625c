import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { createReadStream, readdirSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { networkLabMissing } from '../support/ssh/network-lab.ts';
import { viewsMissing } from '../support/images/containers.ts';
import { runTool } from '../support/images/images.ts';
import { resultOf } from '../support/programs/command-records.ts';
import { describeUnless, toolsMissing } from '../support/programs/tools.ts';
import { startTwoHosts, type TwoHosts } from '../support/ssh/two-hosts.ts';
import {
  bootUmlGuest,
  buildGuestImage,
  damagedGuestFiles,
  guestBootCount,
  type GuestImage,
  GUEST_MEMORY_BYTES,
} from '../support/guests/uml-guest.ts';
import { umlMissing } from '../support/guests/uml-kernel.ts';

const missing = umlMissing() ?? networkLabMissing() ?? viewsMissing() ?? toolsMissing('e2fsck', 'uml_moo');

describeUnless(missing, 'a real guest', () => {
  let hosts: TwoHosts;
  beforeAll(async () => {
    hosts = await startTwoHosts();
  });
  afterAll(async () => {
    await hosts[Symbol.asyncDispose]();
  });

  async function bootOnOld(
    name: string,
    options: { onCtrlAltDel?: 'reboot' } = {},
  ): Promise<{ image: GuestImage; path: string; stop: () => Promise<void> }> {
    const path = join(hosts.old.images, `${name}.img`);
    const image = await buildGuestImage({ path, dataBytes: 8 * 2 ** 20, ...options });
    const { stop } = await bootUmlGuest({
      image: path,
      name,
      umlDir: hosts.old.umlDir,
      startedBy: hosts.lab.prefix('old'),
    });
    hosts.defer(stop);
    return { image, path, stop };
  }

  test('is moved with one command, and runs there exactly as before', async () => {
    const { image, path } = await bootOnOld('web');
    // One store for both hosts.
    const store = join(hosts.old.home, 'store');
    expect(await hosts.run(['init', store, '--no-encrypt'])).toMatchObject({ exitStatus: 0 });
    const backup = ['backup', 'web', '--to', store, '--pause'];
    expect(await hosts.run(backup)).toMatchObject({ exitStatus: 0 });
    const moved = await hosts.run(['migrate', 'web', ...hosts.targetArguments(), '--json']);
    expect(moved.stderr).toBe('');
    if (moved.exitStatus !== 0) throw new Error(moved.stdout);
    const report = JSON.parse(moved.stdout.trim().split('\n').at(-1) ?? '') as Record<string, unknown>;
    expect(report).toMatchObject({ type: 'moved', guest: 'web', warnings: [] });
    expect(moved.exitStatus).toBe(0);

    // It runs only there, with the same memory.
    const there = JSON.parse((await hosts.runOnNew(['guests', '--json'])).stdout) as object;
    expect(there).toMatchObject({
      guests: [{ name: 'web', state: 'running', memoryBytes: GUEST_MEMORY_BYTES }],
    });
    const here = JSON.parse((await hosts.run(['guests', '--json'])).stdout) as object;
    expect(here).toMatchObject({ guests: [{ name: 'web', state: 'moved' }] });
    expect(readdirSync(hosts.new.images)).toEqual(['web.img']);

    // It is the same guest: one boot more, and the same data.
    const halted = await hosts.runOnNew(['halt', 'web']);
    expect(halted.exitStatus).toBe(0);
    const target = join(hosts.new.images, 'web.img');
    expect(await guestBootCount(path)).toBe(1);
    expect(await guestBootCount(target)).toBe(2);
    expect(await damagedGuestFiles(target, image.files)).toEqual([]);
    expect((await stat(target)).mode).toBe((await stat(path)).mode);
    // Its backups continue under its name, although host and path differ.
    expect(await hosts.runOnNew(backup)).toMatchObject({ exitStatus: 0 });

    // Take the move back.
    const started = await hosts.run(['start', 'web']);
    expect(started.exitStatus).toBe(10);
    expect(started.stderr).toContain('vmferry revert web');
    const reverted = await hosts.run(['revert', 'web', '--json']);
    expect(reverted.stdout).toContain('"type":"reverted"');
    expect(reverted.exitStatus).toBe(0);
    expect((await hosts.run(['halt', 'web'])).exitStatus).toBe(0);
    expect(await guestBootCount(path)).toBe(2);
    expect(await hosts.run(backup)).toMatchObject({ exitStatus: 0 });
  });

  test('is backed up and moved from a copy-on-write disk, and becomes one plain image', async () => {
    const [base, cow] = [join(hosts.old.images, 'base.img'), join(hosts.old.images, 'db.cow')];
    const image = await buildGuestImage({ path: base, dataBytes: 4 * 2 ** 20 });
    const before = await sha256(base);
    const { stop } = await bootUmlGuest({
      image: `${cow},${base}`,
      name: 'db',
      umlDir: hosts.old.umlDir,
      startedBy: hosts.lab.prefix('old'),
    });
    hosts.defer(stop);
    const store = join(hosts.old.home, 'store-of-db');
    resultOf(await hosts.run(['init', store, '--no-encrypt', '--json']));
    resultOf(await hosts.run(['backup', 'db', '--to', store, '--pause', '--json']));
    const restored = join(hosts.old.home, 'restored.img');
    resultOf(await hosts.run(['restore', store, 'db', '--to', restored, '--json']));
    // It is not clean: the next boot replays its journal.
    runTool('e2fsck', ['-fp', '-E', 'journal_only', restored]);
    expect(await guestBootCount(restored)).toBe(1);
    expect(await damagedGuestFiles(restored, image.files)).toEqual([]);

    const moved = await hosts.run(['migrate', 'db', ...hosts.targetArguments(), '--json']);
    const target = join(hosts.new.images, 'db.img');
    expect(resultOf(moved)).toMatchObject({ disks: [{ source: cow, target }] });
    const there = JSON.parse((await hosts.runOnNew(['guests', '--json'])).stdout) as object;
    expect(there).toMatchObject({
      guests: expect.arrayContaining([
        expect.objectContaining({
          name: 'db',
          state: 'running',
          disks: [expect.objectContaining({ path: target })],
        }),
      ]),
    });
    resultOf(await hosts.runOnNew(['halt', 'db', '--json']));
    expect(await guestBootCount(target)).toBe(2);
    expect(await damagedGuestFiles(target, image.files)).toEqual([]);

    // The way back is to both files, which are as they were.
    expect(await sha256(base)).toBe(before);
    resultOf(await hosts.run(['revert', 'db', '--json']));
    resultOf(await hosts.run(['halt', 'db', '--json']));
    const merged = join(hosts.old.home, 'merged.img');
    runTool('uml_moo', [cow, merged]);
    expect(await guestBootCount(merged)).toBe(2);
    expect(await guestBootCount(base)).toBe(0);
  });

  test('leaves its old image unchanged', async () => {
    const { path, stop } = await bootOnOld('quiet');
    await stop();
    const before = await sha256(path);
    const moved = await hosts.run(['migrate', path, ...hosts.targetArguments()]);
    expect(moved.exitStatus).toBe(0);
    expect(await sha256(path)).toBe(before);
  });
});

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const part of createReadStream(path)) hash.update(part as Buffer);
  return hash.digest('hex');
}
