import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { createUmlDriver } from '../../../src/guest/drivers/uml/driver.ts';
import { listGuests } from '../../../src/operations/guests/guests.ts';
import { haltGuest } from '../../../src/operations/guests/halt-guest.ts';
import { revertMigration } from '../../../src/operations/migrate/revert.ts';
import { startGuest } from '../../../src/operations/guests/start-guest.ts';
import { BackupWorld } from '../../support/stores/backup-world.ts';
import { codeOf, failureOf } from '../../support/failures.ts';
import { restoreResult, restoreWhole, storedFiles } from '../../support/stores/restoring.ts';
import { describeUnless } from '../../support/programs/tools.ts';
import {
  bootUmlGuest,
  buildGuestImage,
  waitForConsole,
  type BootedGuest,
} from '../../support/guests/uml-guest.ts';
import { umlMissing } from '../../support/guests/uml-kernel.ts';

const start = { bootTimeoutMs: 60_000, oldHostIsGone: false, ask: null };

describeUnless(umlMissing(), 'a restore with --start', () => {
  let world: BackupWorld;
  let booted: BootedGuest;
  let target: string;

  beforeEach(async () => {
    world = new BackupWorld();
    const umlDir = join(world.path, 'uml');
    const image = join(world.path, 'alpha.img');
    target = join(world.path, 'back', 'alpha.img');
    mkdirSync(join(world.path, 'back'));
    world.dependencies.drivers = [createUmlDriver({ ...process.env, UML_DIR: umlDir })];
    await buildGuestImage({ path: image, dataBytes: 65_536, onCtrlAltDel: 'quick-poweroff' });
    booted = await bootUmlGuest({ image, name: 'alpha', umlDir });
    await haltAlpha();
    await world.backup('alpha');
  });

  afterEach(async () => {
    for (const { pid } of await listGuests(world.dependencies, world.context()))
      if (pid !== null) process.kill(-pid, 'SIGKILL');
    await booted.stop();
    await world[Symbol.asyncDispose]();
  });

  function haltAlpha(): Promise<unknown> {
    const request = { guest: 'alpha', forceHalt: false, haltTimeoutMs: 30_000 };
    return haltGuest(request, world.dependencies, world.context());
  }

  test('boots the guest from the restored disk, and remembers this disk', async () => {
    rmSync(join(world.path, 'alpha.img'));
    const { started } = await restoreWhole(world, 'alpha', target, { start });
    if (started === null) throw new Error('it was not started');
    // The second boot of this disk.
    await waitForConsole(started.consoleLog, /GUEST-UP boots=2/);
    const [guest] = await listGuests(world.dependencies, world.context());
    expect(guest).toMatchObject({ name: 'alpha', state: 'running', pid: started.pid });
    expect(guest?.disks.map(({ path }) => path)).toEqual([target]);
    await haltAlpha();
  });

  test('is refused before anything is written if the guest runs or was moved away', async () => {
    await startGuest({ guest: 'alpha', bootTimeoutMs: 60_000 }, world.dependencies, world.context());
    expect(await codeOf(() => restoreWhole(world, 'alpha', target, { start }))).toBe('guest-already-running');
    await haltAlpha();
    const record = await world.dependencies.records.read('alpha');
    if (record === null) throw new Error('it is not remembered');
    const move = { destination: 'newhost', directory: null, sshConfigFile: null, remoteCommand: 'vmferry' };
    await world.dependencies.records.write({ definition: record.definition, state: 'moved', move });
    expect(await codeOf(() => restoreWhole(world, 'alpha', target, { start }))).toBe('guest-fenced');
    expect(existsSync(`${target}.partial`)).toBe(false);
  });

  test('boots here after an unfinished revert, once the other host is gone', async () => {
    const record = await world.dependencies.records.read('alpha');
    if (record === null) throw new Error('it is not remembered');
    rmSync(join(world.path, 'alpha.img'));
    const move = { destination: 'burnt', directory: null, sshConfigFile: null, remoteCommand: null };
    const { definition } = record;
    const fenced = await world.dependencies.records.write({ definition, state: 'moved', move });
    const revert = (newHostIsGone: boolean) =>
      revertMigration(
        { guest: 'alpha', newHostIsGone, forceHalt: false, haltTimeoutMs: 1000, bootTimeoutMs: 60_000 },
        {
          ...world.dependencies,
          pool: world.dependencies.pool,
          connect: () => Promise.reject(new Error('no')),
          bootFilesOf: () => ({ kernel: '/nowhere/kernel', initrd: '/nowhere/initrd' }),
        },
        world.context(),
      );
    // A failure changes nothing.
    expect(await failureOf(() => revert(true))).toMatchObject({ code: 'image-missing' });
    expect(await failureOf(() => restoreWhole(world, 'alpha', target, { start }))).toMatchObject({
      code: 'guest-fenced',
      message: expect.stringContaining('taken back to burnt'),
      advice: expect.stringContaining('--old-host-is-gone'),
    });
    expect(await world.dependencies.records.read('alpha')).toEqual(fenced);
    expect(existsSync(target)).toBe(false);

    const ask = jest.fn(() => Promise.resolve(true));
    const { started } = await restoreWhole(world, 'alpha', target, { start: { ...start, ask } });
    expect(ask.mock.calls).toEqual([[expect.stringContaining('Is burnt off'), expect.anything()]]);
    expect(started).not.toBeNull();
    await haltAlpha();
    await startGuest({ guest: 'alpha', bootTimeoutMs: 60_000 }, world.dependencies, world.context());
    await haltAlpha();
  });

  test('does not boot an incomplete image', async () => {
    rmSync(join(world.path, 'alpha.img'));
    for (const pack of storedFiles(world, 'alpha', 'packs')) rmSync(pack);
    const { report, failure } = await restoreResult(world, 'alpha', target, { start, allowMissing: true });
    expect(failure?.code).toBe('store-damaged');
    expect(report.started).toBeNull();
    expect((await listGuests(world.dependencies, world.context()))[0]?.pid).toBeNull();
  });
});
