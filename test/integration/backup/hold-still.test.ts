import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { Context, Event } from '../../../src/events.ts';
import { Failure } from '../../../src/failure.ts';
import { isFreezingDriver, type FreezingDriver, type GuestDriver } from '../../../src/guest/guest-driver.ts';
import { createRecordStore } from '../../../src/guest/record-store.ts';
import { resolveGuest, type ResolvedGuest } from '../../../src/guest/resolve-guest.ts';
import { createUmlDriver } from '../../../src/guest/drivers/uml/driver.ts';
import { openImage } from '../../../src/image/open-image.ts';
import { probeImage } from '../../../src/image/probe.ts';
import type { GuestDependencies } from '../../../src/guest/guest-dependencies.ts';
import { holdStill } from '../../../src/hold/hold-still.ts';
import type { HoldMethod, StillGuest } from '../../../src/hold/still-guest.ts';
import { listProcesses } from '../../../src/system/proc-process.ts';
import { bootCountingGuest, type CountingGuest } from '../../support/guests/counting-guest.ts';
import { end, startHolder } from '../../support/programs/holder.ts';
import { makeSparseFile, runTool, scratchDirectory } from '../../support/images/images.ts';
import { mountingMissing, mountNew, type MountedKind } from '../../support/images/reflink-file-system.ts';
import { describeUnless } from '../../support/programs/tools.ts';
import { readGuestFile, waitForConsole, type GuestImageOptions } from '../../support/guests/uml-guest.ts';
import { umlMissing } from '../../support/guests/uml-kernel.ts';

const holdOptions = { haltTimeoutMs: 20_000, forceHalt: false, bootTimeoutMs: 60_000 };

/* The directories of a guest: made by `boot`, and removed by `endGuests`. */
let scratch: ReturnType<typeof scratchDirectory>;
let umlDir: string;
let driver: FreezingDriver;
let dependencies: GuestDependencies;
let mounted: Disposable & { path: string };
let booted: CountingGuest | null;

let events: Event[];
let abort: AbortController;
let context: Context;

beforeEach(() => {
  events = [];
  abort = new AbortController();
  context = { signal: abort.signal, report: (event) => events.push(event) };
});

/** Boots the guest `alpha`; its second disk, if it has one, is read-only. */
async function boot(
  kind: MountedKind,
  { hasSecondDisk = false, ...options }: Partial<GuestImageOptions> & { hasSecondDisk?: boolean } = {},
): Promise<CountingGuest> {
  scratch = scratchDirectory();
  umlDir = join(scratch.path, 'uml');
  driver = createUmlDriver({ ...process.env, UML_DIR: umlDir });
  dependencies = {
    drivers: [driver],
    records: createRecordStore(join(scratch.path, 'records')),
    consoleLogOf: (name) => join(scratch.path, `${name}.log`),
  };
  booted = null;
  mounted = mountNew(kind);
  makeSparseFile(secondDisk(), 2 ** 20);
  booted = await bootCountingGuest({
    path: join(mounted.path, 'guest.img'),
    fileSystem: 'ext4',
    name: 'alpha',
    umlDir,
    extraArgs: hasSecondDisk ? [`ubd1r=${secondDisk()}`] : [],
    ...options,
  });
  return booted;
}

const secondDisk = () => join(scratch.path, 'read-only.img');

async function endGuests(): Promise<void> {
  const running = await driver.list(context);
  const pids = running.map(({ identity }) => identity.pid ?? 0);
  for (const pid of pids) process.kill(-pid, 'SIGKILL');
  await booted?.stop();
  // The file system can be unmounted only when no process of a guest is left.
  while (listProcesses().some(({ sessionId }) => pids.includes(sessionId))) await delay(20);
  mounted[Symbol.dispose]();
  scratch[Symbol.dispose]();
}

const resolved = (): Promise<ResolvedGuest> => resolveGuest('alpha', dependencies, context);

async function hold(how: HoldMethod, drivers = dependencies.drivers): Promise<StillGuest> {
  return holdStill(await resolved(), how, holdOptions, { ...dependencies, drivers }, context);
}

async function failureOf(promise: Promise<unknown>): Promise<Failure> {
  const thrown = await promise.then(
    () => null,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(Failure);
  return thrown as Failure;
}

const besideOf = ({ image }: CountingGuest) =>
  readdirSync(join(image, '..')).filter((name) => name.includes('vmferry'));

async function expectRunningAsBefore(guest: CountingGuest): Promise<void> {
  await guest.countsOn();
  expect((await resolved()).running?.identity.pid).toBe(guest.pid);
  expect(besideOf(guest)).toEqual([]);
}

async function isClean(path: string): Promise<boolean> {
  await using image = await openImage(path);
  return probeImage(image).regions.every(({ clean, skippable }) => clean === true && skippable);
}

const countIn = async (image: string) => Number((await readGuestFile(image, '/count')).toString());

for (const kind of ['xfs', 'btrfs'] as const)
  describeUnless(umlMissing() ?? mountingMissing(kind), `a running guest on ${kind}`, () => {
    let guest: CountingGuest;
    beforeAll(async () => {
      guest = await boot(kind, { hasSecondDisk: true });
    });
    afterAll(endGuests);

    test('is stopped for a moment, and a clone of that moment is read', async () => {
      const before = await guest.count();
      const startedAt = new Date();
      const still = await hold('clone');
      expect(await guest.isStopped()).toBe(false);
      const [disk] = still.disks;
      const path = disk?.path ?? '';
      expect(still).toMatchObject({
        consistency: 'frozen',
        disks: [{ device: 'ubd0', image: guest.image }, { device: 'ubd1' }],
      });
      expect(still.createdAt.getTime()).toBeGreaterThanOrEqual(startedAt.getTime());
      expect(disk?.attributes.mode).toBe(statSync(guest.image).mode & 0o777);
      expect(besideOf(guest).map((name) => join(guest.image, '..', name))).toEqual([path]);
      // Its journal has been replayed: free blocks may be skipped, and a restored copy boots clean.
      expect(await isClean(path)).toBe(true);
      runTool('e2fsck', ['-fn', path]);
      // Everything written before is in the clone, though the guest itself commits only every five seconds.
      expect(await countIn(path)).toBeGreaterThanOrEqual(before);
      await guest.countsOn();
      await still.refuseChanged();
      await still[Symbol.asyncDispose]();
      await expectRunningAsBefore(guest);
      expect(events.filter(({ type }) => type === 'warning')).toEqual([]);
      expect(events.filter(({ type }) => type === 'stage-finished')).toEqual([
        expect.objectContaining({
          stage: 'freeze',
          message: expect.stringMatching(/was stopped for \d+ ms$/),
        }),
      ]);
    });

    test('goes on if its images cannot be cloned while it is stopped', async () => {
      const directory = join(guest.image, '..');
      const meddling: FreezingDriver = {
        ...driver,
        async freeze(...args) {
          const frozen = await driver.freeze(...args);
          expect(await guest.isStopped()).toBe(true);
          runTool('chattr', ['+i', directory]);
          return frozen;
        },
      };
      const failure = await failureOf(hold('clone', [meddling]));
      runTool('chattr', ['-i', directory]);
      expect(failure.code).toBe('not-permitted');
      await expectRunningAsBefore(guest);
    });

    test('goes on, and its clone is removed, when interrupted', async () => {
      const reason = new Failure('interrupted', 'Interrupted.');
      const meddling: FreezingDriver = {
        ...driver,
        async freeze(...args) {
          const frozen = await driver.freeze(...args);
          abort.abort(reason);
          return frozen;
        },
      };
      expect(await failureOf(hold('clone', [meddling]))).toBe(reason);
      await expectRunningAsBefore(guest);
    });

    test('has all its disks cloned at one moment, and leftovers removed', async () => {
      const stale = join(guest.image, '..', '.guest.img.vmferry-0123456789abcdef.clone');
      makeSparseFile(stale, 512);
      const still = await hold('clone');
      expect(existsSync(stale)).toBe(false);
      expect(events).toContainEqual(
        expect.objectContaining({ type: 'warning', message: expect.stringContaining(stale) }),
      );
      // A read-only disk needs no clone, on any file system.
      expect(still.disks.map(({ image, path }) => image === path)).toEqual([false, true]);
      await still.refuseChanged();
      makeSparseFile(secondDisk(), 2 ** 21);
      expect((await failureOf(still.refuseChanged())).code).toBe('image-in-use');
      await still[Symbol.asyncDispose]();
      await expectRunningAsBefore(guest);
    });
  });

describeUnless(umlMissing() ?? mountingMissing('ext4'), 'a running guest where there are no reflinks', () => {
  let guest: CountingGuest;
  beforeAll(async () => {
    guest = await boot('ext4');
  });
  afterAll(endGuests);

  test('is not read while it runs', async () => {
    const failure = await failureOf(hold('clone'));
    expect(failure.code).toBe('guest-unsupported');
    expect(failure.advice).toMatch(/--pause.*--halt/);
    // It was never stopped.
    expect(events).toEqual([]);
    await expectRunningAsBefore(guest);
  });

  test('is stopped while it is read', async () => {
    const before = await guest.count();
    const still = await hold('pause');
    expect(still).toMatchObject({
      consistency: 'frozen',
      disks: [{ image: guest.image, path: guest.image }],
    });
    expect(await guest.isStopped()).toBe(true);
    const copy = join(scratch.path, 'copy.img');
    copyFileSync(guest.image, copy);
    await still.refuseChanged();
    await still[Symbol.asyncDispose]();
    await expectRunningAsBefore(guest);
    runTool('e2fsck', ['-p', copy]);
    expect(await countIn(copy)).toBeGreaterThanOrEqual(before);
  });

  test('is not stopped by two backups at the same time: the first to end would let it go on', async () => {
    const reader = await startHolder(guest.image, ['r']);
    try {
      for (const method of ['pause', 'halt'] as const)
        expect(await failureOf(hold(method))).toMatchObject({
          code: 'image-in-use',
          message: expect.stringContaining(`process ${reader.pid}`),
          advice: expect.stringContaining('wait until it ends'),
        });
    } finally {
      await end(reader);
    }
    await expectRunningAsBefore(guest);
  });

  test('does not count as still if somebody lets it go on while it is read', async () => {
    const still = await hold('pause');
    runTool('uml_mconsole', [join(umlDir, 'alpha', 'mconsole'), 'go']);
    await guest.countsOn();
    const written = readFileSync(guest.consoleLog, 'latin1').split('Emergency Sync complete').length;
    runTool('uml_mconsole', [join(umlDir, 'alpha', 'mconsole'), 'sysrq', 's']);
    await waitForConsole(guest.consoleLog, new RegExp(`(?:Emergency Sync complete[^]*){${written}}`));
    expect((await failureOf(still.refuseChanged())).code).toBe('image-in-use');
    await still[Symbol.asyncDispose]();
    await expectRunningAsBefore(guest);
  });

  test('is not halted if it cannot be started again', async () => {
    const unbootable: FreezingDriver = {
      ...driver,
      checkBootable: () => Promise.resolve([new Failure('hypervisor-missing', 'There is no kernel.')]),
    };
    expect((await failureOf(hold('halt', [unbootable]))).code).toBe('hypervisor-missing');
    await expectRunningAsBefore(guest);
  });

  test.each(['hang', 'leave'])('goes on if vmferry dies while the guest is stopped: %s', async (way) => {
    const freezer = spawn(
      process.execPath,
      [join(import.meta.dirname, '../../support/guests/frozen/freeze-and-hang.mjs'), 'alpha', way],
      {
        env: { ...process.env, UML_DIR: umlDir, NODE_OPTIONS: '' },
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    const exited = once(freezer, 'exit');
    await once(freezer.stdout, 'data');
    if (way === 'hang') {
      expect(await guest.isStopped()).toBe(true);
      freezer.kill('SIGKILL');
    }
    expect(await exited).toEqual(way === 'hang' ? [null, 'SIGKILL'] : [7, null]);
    await expectRunningAsBefore(guest);
  });

  test('that was stopped by somebody else is left alone', async () => {
    runTool('uml_mconsole', [join(umlDir, 'alpha', 'mconsole'), 'stop']);
    const running = (await resolved()).running;
    expect(running).not.toBeNull();
    if (running === null) return;
    const failure = await failureOf(driver.freeze(running, { syncTimeoutMs: 100 }, context));
    expect(failure.message).toContain('is stopped already');
    expect(await guest.isStopped()).toBe(true);
    runTool('uml_mconsole', [join(umlDir, 'alpha', 'mconsole'), 'go']);
    await expectRunningAsBefore(guest);
  });

  test('that another backup has paused is left alone', async () => {
    const still = await hold('pause');
    expect((await failureOf(hold('pause'))).message).toContain('Another backup');
    expect(await guest.isStopped()).toBe(true);
    await still[Symbol.asyncDispose]();
    await expectRunningAsBefore(guest);
  });

  test('under a driver that cannot freeze is refused', async () => {
    const plain: GuestDriver & { freeze?: unknown } = { ...driver };
    delete plain.freeze;
    expect(isFreezingDriver(plain)).toBe(false);
    expect((await failureOf(hold('pause', [plain]))).advice).toContain('--halt');
  });
});

describeUnless(umlMissing() ?? mountingMissing('ext4'), 'a running guest, booted for each test', () => {
  afterEach(endGuests);

  test('is halted, read, and started again', async () => {
    const guest = await boot('ext4');
    const still = await hold('halt');
    expect(still).toMatchObject({ consistency: 'halted', disks: [{ path: guest.image }] });
    expect((await resolved()).running).toBeNull();
    expect(await isClean(guest.image)).toBe(true);
    await still.refuseChanged();
    await still[Symbol.asyncDispose]();
    await waitForConsole(dependencies.consoleLogOf('alpha'), /GUEST-UP boots=2/);
    const { running, definition } = await resolved();
    expect(running).not.toBeNull();
    expect(definition.disks).toEqual([expect.objectContaining({ path: guest.image })]);
  });

  test('is started again when interrupted after the halt', async () => {
    const guest = await boot('ext4');
    const reason = new Failure('interrupted', 'Interrupted.');
    const meddling: FreezingDriver = {
      ...driver,
      async halt(...args) {
        await driver.halt(...args);
        abort.abort(reason);
        throw reason;
      },
    };
    expect(await failureOf(hold('halt', [meddling]))).toBe(reason);
    await waitForConsole(dependencies.consoleLogOf('alpha'), /GUEST-UP boots=2/);
    expect(guest.image).toBe((await resolved()).definition.disks[0]?.path);
  });

  test('that cannot write out its data counts as after a crash', async () => {
    // This guest has sysrq switched off.
    const guest = await boot('ext4', { onCtrlAltDel: 'ignore' });
    const still = await hold('pause');
    expect(still.consistency).toBe('after-a-crash');
    expect(events).toContainEqual(
      expect.objectContaining({
        type: 'warning',
        code: 'after-a-crash',
        message: expect.stringContaining('sysrq switched off'),
      }),
    );
    await still[Symbol.asyncDispose]();
    await expectRunningAsBefore(guest);
  });
});

describeUnless(umlMissing() ?? mountingMissing('ext4'), 'an image that no guest runs on', () => {
  afterEach(endGuests);

  test('is read as it is, unless a program has it open or writes to it', async () => {
    const guest = await boot('ext4');
    const live = await resolveGuest(guest.image, dependencies, context);
    const refused = await failureOf(holdStill(live, 'clone', holdOptions, dependencies, context));
    expect(refused).toMatchObject({
      code: 'image-in-use',
      message: expect.stringContaining(String(guest.pid)),
    });
    const halted = await hold('halt');
    const offline = await holdStill(live, 'clone', holdOptions, dependencies, context);
    expect(offline).toMatchObject({ consistency: 'halted', disks: [{ device: 'disk0', path: guest.image }] });
    await offline.refuseChanged();
    runTool('touch', [guest.image]);
    expect((await failureOf(offline.refuseChanged())).code).toBe('image-in-use');
    await halted[Symbol.asyncDispose]();
    await waitForConsole(dependencies.consoleLogOf('alpha'), /GUEST-UP boots=2/);
  });

  test('that was not unmounted counts as after a crash', async () => {
    const guest = await boot('ext4');
    const still = await hold('pause');
    const copy = join(scratch.path, 'copy.img');
    copyFileSync(guest.image, copy);
    await still[Symbol.asyncDispose]();
    const offline = await holdStill(
      await resolveGuest(copy, dependencies, context),
      'clone',
      holdOptions,
      dependencies,
      context,
    );
    expect(offline.consistency).toBe('after-a-crash');
    expect(events).toContainEqual(
      expect.objectContaining({ type: 'warning', message: expect.stringContaining(copy) }),
    );
    await offline[Symbol.asyncDispose]();
    rmSync(copy);
    const gone = { ...(await resolveGuest(copy, dependencies, context)) };
    expect((await failureOf(holdStill(gone, 'clone', holdOptions, dependencies, context))).code).toBe(
      'image-missing',
    );
  });
});
