import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Context, Event } from '../../../src/events.ts';
import { createRecordStore } from '../../../src/guest/record-store.ts';
import { createUmlDriver } from '../../../src/guest/drivers/uml/driver.ts';
import { listGuests } from '../../../src/operations/guests/guests.ts';
import type { GuestDependencies } from '../../../src/guest/guest-dependencies.ts';
import { haltGuest } from '../../../src/operations/guests/halt-guest.ts';
import { inspectImage } from '../../../src/operations/guests/inspect.ts';
import { startGuest } from '../../../src/operations/guests/start-guest.ts';
import { describeUnless } from '../../support/programs/tools.ts';
import {
  bootUmlGuest,
  buildGuestImage,
  isFileSystemClean,
  waitForConsole,
  type BootedGuest,
  GUEST_MEMORY_BYTES,
} from '../../support/guests/uml-guest.ts';
import { umlMissing } from '../../support/guests/uml-kernel.ts';

const haltRequest = { guest: 'alpha', forceHalt: false, haltTimeoutMs: 20_000 };
const startRequest = { guest: 'alpha', bootTimeoutMs: 20_000 };

describeUnless(umlMissing(), 'guests', () => {
  let directory: string;
  let umlDir: string;
  let image: string;
  let dependencies: GuestDependencies;
  let booted: BootedGuest[];
  let events: Event[];
  let context: Context;

  beforeEach(async () => {
    directory = realpathSync(mkdtempSync(join(tmpdir(), 'vmferry-test-')));
    umlDir = join(directory, 'uml');
    image = join(directory, 'guest.img');
    dependencies = freshDependencies();
    booted = [];
    events = [];
    context = { signal: new AbortController().signal, report: (event) => events.push(event) };
    await buildGuestImage({ path: image, dataBytes: 65_536, onCtrlAltDel: 'quick-poweroff' });
  });

  afterEach(async () => {
    for (const { pid } of await listGuests(dependencies, context))
      if (pid !== null) process.kill(-pid, 'SIGKILL');
    for (const guest of booted) await guest.stop();
    rmSync(directory, { recursive: true });
  });

  /** The dependencies of another run of the program. */
  function freshDependencies(): GuestDependencies {
    return {
      drivers: [createUmlDriver({ ...process.env, UML_DIR: umlDir })],
      records: createRecordStore(join(directory, 'state')),
      consoleLogOf: (guest) => join(directory, 'console', `${guest}.log`),
    };
  }

  async function boot(): Promise<BootedGuest> {
    const guest = await bootUmlGuest({ image, name: 'alpha', umlDir });
    booted.push(guest);
    return guest;
  }

  test('are listed, halted, remembered and started again as they were', async () => {
    const { pid } = await boot();
    const summary = {
      name: 'alpha',
      driver: 'uml',
      state: 'running',
      memoryBytes: GUEST_MEMORY_BYTES,
      cpuSeconds: expect.any(Number),
      pid,
      disks: [{ path: image, sizeBytes: 64 * 2 ** 20, usedBytes: expect.any(Number) }],
      autostart: null,
      imageMissing: false,
      movedTo: null,
      unsupported: null,
    };
    expect(await listGuests(dependencies, context)).toEqual([summary]);
    // The image has one user, the guest, however many processes the guest has.
    const { users } = await inspectImage(image, context, dependencies.drivers);
    expect(users).toEqual([expect.objectContaining({ kind: 'guest', name: 'alpha', pid })]);

    const report = await haltGuest(haltRequest, dependencies, context);
    expect(report).toEqual({ type: 'halted', guest: 'alpha', notClean: [] });
    expect(await isFileSystemClean(image)).toBe(true);
    expect(events.map(({ type }) => type)).toEqual(['stage-started', 'stage-finished']);
    const halted = { ...summary, state: 'halted', cpuSeconds: null, pid: null };
    dependencies = freshDependencies();
    expect(await listGuests(dependencies, context)).toEqual([halted]);
    await expect(haltGuest(haltRequest, dependencies, context)).rejects.toMatchObject({
      code: 'guest-not-running',
    });

    const started = await startGuest(startRequest, dependencies, context);
    await waitForConsole(started.consoleLog, /GUEST-UP boots=2/);
    expect(await listGuests(dependencies, context)).toEqual([{ ...summary, pid: started.pid }]);
    await expect(startGuest(startRequest, dependencies, context)).rejects.toMatchObject({
      code: 'guest-already-running',
    });
  });

  test('that were killed are shown as gone, and can be started again', async () => {
    await boot();
    const [running] = await dependencies.drivers[0]!.list(context);
    await dependencies.records.write({ definition: running!.definition, state: 'running' });
    await haltGuest({ ...haltRequest, forceHalt: true, haltTimeoutMs: 1 }, dependencies, context);
    await dependencies.records.write({ definition: running!.definition, state: 'running' });
    expect(await listGuests(dependencies, context)).toEqual([
      expect.objectContaining({ state: 'gone', pid: null }),
    ]);
    await startGuest(startRequest, dependencies, context);
  });

  test('that were moved away are not started, even if somebody ran and halted them here', async () => {
    const guest = await boot();
    const [running] = await dependencies.drivers[0]!.list(context);
    const move = { destination: 'newhost', directory: '/srv', sshConfigFile: null, remoteCommand: 'vmferry' };
    await dependencies.records.write({ definition: running!.definition, state: 'moved', move });
    expect(await listGuests(dependencies, context)).toEqual([
      expect.objectContaining({ state: 'running', movedTo: 'newhost' }),
    ]);
    await haltGuest(haltRequest, dependencies, context);
    await guest.stop();
    dependencies = freshDependencies();
    expect(await listGuests(dependencies, context)).toEqual([expect.objectContaining({ state: 'moved' })]);
    await expect(startGuest(startRequest, dependencies, context)).rejects.toMatchObject({
      code: 'guest-fenced',
      message: expect.stringContaining('newhost:/srv'),
      advice: expect.stringContaining('vmferry revert alpha'),
    });
  });

  test('are not started on a disk that is in use', async () => {
    await boot();
    await haltGuest(haltRequest, dependencies, context);
    booted.push(await bootUmlGuest({ image, name: 'beta', umlDir }));
    await expect(startGuest(startRequest, dependencies, context)).rejects.toMatchObject({
      code: 'image-in-use',
      message: expect.stringContaining(image),
    });
  });

  test('without a record are not found', async () => {
    await expect(startGuest(startRequest, dependencies, context)).rejects.toMatchObject({
      code: 'guest-not-found',
    });
    await expect(haltGuest(haltRequest, dependencies, context)).rejects.toMatchObject({
      code: 'guest-not-found',
    });
    expect(await listGuests(dependencies, context)).toEqual([]);
  });
});
