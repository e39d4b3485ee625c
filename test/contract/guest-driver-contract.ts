import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Context, Event } from '../../src/events.ts';
import { totalLength } from '../../src/extent/extents.ts';
import { Failure } from '../../src/failure.ts';
import type { GuestDefinition } from '../../src/guest/definition.ts';
import {
  isFreezingDriver,
  isKeepingDriver,
  isRecordingDriver,
  type GuestDriver,
  type RunningGuest,
} from '../../src/guest/guest-driver.ts';
import { findUsers } from '../../src/image/usage/usage.ts';
import { codeOf, failureOf } from '../support/failures.ts';
import { end, startHolder } from '../support/programs/holder.ts';

/** `stubborn` ignores an orderly halt; `broken` ends while it boots; `unbootable` needs what this machine does not have. */
export type GuestTemper = 'obedient' | 'stubborn' | 'broken' | 'unbootable';

export interface DriverUnderTest extends AsyncDisposable {
  driver: GuestDriver;
  /** A directory for the suite's own files. */
  scratch: string;
  /** How long a start or a halt may take, where machines are emulated: 30 s unless given. */
  timeoutMs?: number;
  /** Makes a guest with one disk of its own, which it writes to. It does not run yet. */
  make(name: string, temper: GuestTemper): Promise<GuestDefinition>;
  /**
   * For a driver that keeps guests (`KeepingDriver`), which the suite finds out by itself. Starts a kept guest without the driver, as
   * a person would; returns whether it then runs.
   */
  startByHand?(definition: GuestDefinition): Promise<boolean>;
}

/** Long enough that no step runs into it. */
const usualTimeoutMs = 30_000;
/** A shorter wait for the stubborn guest. */
const shortTimeoutMs = 1_000;

const BLOCK_BYTES = 4096;

/** The offsets of the blocks that differ in two images of one size. */
function differingBlocks(one: Buffer, other: Buffer): number[] {
  const found: number[] = [];
  for (let at = 0; at < one.length; at += BLOCK_BYTES)
    if (!one.subarray(at, at + BLOCK_BYTES).equals(other.subarray(at, at + BLOCK_BYTES))) found.push(at);
  return found;
}

/** What every GuestDriver must do. The subject's disposal ends all guests that still run. */
export function describeGuestDriver(name: string, create: () => Promise<DriverUnderTest>): void {
  describe(`a guest driver: ${name}`, () => {
    let subject: DriverUnderTest;
    let driver: GuestDriver;
    let timeoutMs: number;
    /** It runs from the first test to the last. */
    let web: RunningGuest;
    let events: Event[];
    let abort: AbortController;
    let context: Context;

    const freshContext = (): Context => ({ signal: abort.signal, report: (event) => events.push(event) });
    const consoleOf = (guest: string) => join(subject.scratch, `${guest}.log`);
    const start = (definition: GuestDefinition) =>
      driver.start(definition, { consoleLog: consoleOf(definition.name), timeoutMs }, context);
    /** A test may have aborted its own context. */
    const find = async (guest: string) =>
      (await driver.list({ ...context, signal: new AbortController().signal })).filter(
        ({ definition }) => definition.name === guest,
      );
    const diskOf = ({ definition }: RunningGuest) => definition.disks[0]?.path ?? '';
    const expectRunning = async ({ definition, identity }: RunningGuest) =>
      expect(await find(definition.name)).toMatchObject([{ identity }]);

    beforeAll(async () => {
      events = [];
      abort = new AbortController();
      context = freshContext();
      subject = await create();
      ({ driver, timeoutMs = usualTimeoutMs } = subject);
      web = await start(await subject.make('web', 'obedient'));
    });
    beforeEach(() => {
      events = [];
      abort = new AbortController();
      context = freshContext();
    });
    afterEach(() => expectRunning(web));
    afterAll(async () => {
      await subject[Symbol.asyncDispose]();
    });

    test('a guest that runs is found and described, each time as the same run', async () => {
      const [found, ...others] = await find('web');
      expect(others).toEqual([]);
      expect(found).toMatchObject({ definition: web.definition, identity: web.identity });
      expect(found?.unsupported).toBeUndefined();
      expect(found?.cpuSeconds).toBeGreaterThanOrEqual(0);
      expect(web.definition).toMatchObject({ name: 'web', driver: driver.kind });
      expect(web.identity.id).not.toBe('');
      expect(web.identity.label).toMatch(/^\w+ \d+$/);
      expect(await find('mail')).toEqual([]);
    });

    test('a stranger counts as another user of a guest’s disk, the guest does not', async () => {
      expect(await driver.usersBesides(web, await findUsers(diskOf(web)))).toEqual([]);
      const stranger = await startHolder(diskOf(web), ['r']);
      try {
        const users = await driver.usersBesides(web, await findUsers(diskOf(web)));
        expect(users.map(({ pid }) => pid)).toEqual([stranger.pid]);
      } finally {
        await end(stranger);
      }
    });

    test('a guest whose name is taken is not started', async () => {
      const double: GuestDefinition = {
        ...(await subject.make('double', 'obedient')),
        name: 'web',
      };
      const problems = await driver.checkBootable(double, context);
      expect(problems.map(({ code }) => code)).toEqual(['guest-already-running']);
      expect(await codeOf(() => start(double))).toBe('guest-already-running');
    });

    test('the check of a bootable guest finds no problem, and does not start the guest', async () => {
      expect(await driver.checkBootable(await subject.make('idle', 'obedient'), context)).toEqual([]);
      expect(await find('idle')).toEqual([]);
    });

    test('the check of an unbootable guest says why, and does not start the guest', async () => {
      const definition = await subject.make('foreign', 'unbootable');
      const problems = await driver.checkBootable(definition, context);
      expect(problems).not.toEqual([]);
      expect(problems.map(({ message }) => message)).not.toContain('');
      expect(await codeOf(() => start(definition))).toBe(problems[0]?.code);
      expect(await find('foreign')).toEqual([]);
    });

    test('the start of a guest that ends while it boots fails, and leaves nothing', async () => {
      const definition = await subject.make('broken', 'broken');
      expect(await failureOf(() => start(definition))).toMatchObject({
        code: 'start-failed',
        message: expect.stringContaining('broken'),
      });
      expect(await find('broken')).toEqual([]);
      expect(await findUsers(definition.disks[0]?.path ?? '')).toEqual([]);
    });

    test('what a guest writes is recorded until its end, by a hypervisor that can do so', async () => {
      const recording = driver;
      if (!isRecordingDriver(recording)) return;
      const owner = 'a'.repeat(32);
      const guest = await start(await subject.make('recorded', 'obedient'));
      const since = (id: string | null) => recording.record(guest, { owner, since: id }, context);
      const first = await since(null);
      expect(first?.written).toEqual([null]);
      const before = readFileSync(diskOf(guest));
      const second = await since(first?.id ?? null);
      const options = { timeoutMs, force: false };
      const last = await recording.haltRecorded(
        guest,
        { owner, since: second?.id ?? null },
        options,
        context,
      );
      expect(await find('recorded')).toEqual([]);
      const after = readFileSync(diskOf(guest));
      const written = [...(second?.written[0] ?? []), ...(last?.[0] ?? [])];
      const changed = differingBlocks(before, after);
      // At least the file system's state: it was unmounted.
      expect(changed.length).toBeGreaterThan(0);
      const isWritten = (at: number) =>
        written.some(({ offset, length }) => at >= offset && at < offset + length);
      expect(changed.filter((at) => !isWritten(at))).toEqual([]);
      expect(totalLength(written)).toBeLessThan(after.length);
    });

    test('a refused halt leaves the guest running, and says so; only force ends the guest', async () => {
      const stubborn = await start(await subject.make('stubborn', 'stubborn'));
      const options = { timeoutMs: shortTimeoutMs, force: false };
      const failure = await failureOf(() => driver.halt(stubborn, options, context));
      expect(failure).toMatchObject({ code: 'halt-failed', message: expect.stringContaining('stubborn') });
      expect(failure.advice).toContain('It still runs.');
      await expectRunning(stubborn);
      await driver.halt(stubborn, { ...options, force: true }, context);
      expect(await find('stubborn')).toEqual([]);
      expect(await findUsers(diskOf(stubborn))).toEqual([]);
    });

    test('an aborted halt leaves the guest running', async () => {
      const reason = new Failure('interrupted', 'Interrupted.');
      const halting = driver.halt(web, { timeoutMs, force: true }, context);
      const halted = failureOf(() => halting);
      abort.abort(reason);
      expect(await halted).toBe(reason);
    });

    test('a halted guest is gone and has released its disk; started again it is another run', async () => {
      const first = await start(await subject.make('mail', 'obedient'));
      await expectRunning(first);
      expect(existsSync(consoleOf('mail')) ? readFileSync(consoleOf('mail'), 'latin1') : 'up').not.toBe('');
      await driver.halt(first, { timeoutMs, force: false }, context);
      expect(await find('mail')).toEqual([]);
      expect(await findUsers(diskOf(first))).toEqual([]);

      // A guest that is gone is not halted again, uses nothing, and cannot be frozen.
      await driver.halt(first, { timeoutMs, force: true }, context);
      const stranger = { kind: 'process', pid: process.pid, name: 'node', description: '' } as const;
      expect(await driver.usersBesides(first, [stranger])).toEqual([stranger]);
      if (isFreezingDriver(driver)) {
        const freezing = driver;
        expect(await codeOf(() => freezing.freeze(first, { syncTimeoutMs: timeoutMs }, context))).toBe(
          'guest-unsupported',
        );
      }

      const second = await start(first.definition);
      expect(second.identity.id).not.toBe(first.identity.id);
      // The second run, which has the same name, is not taken for the first.
      await driver.halt(first, { timeoutMs, force: true }, context);
      await expectRunning(second);
      await driver.halt(second, { timeoutMs, force: false }, context);
      expect(events).toEqual([]);
    });

    test('a frozen guest is still found, is not halted, and goes on when it is let go', async () => {
      if (!isFreezingDriver(driver)) return;
      const before = Date.now();
      const frozen = await driver.freeze(web, { syncTimeoutMs: timeoutMs }, context);
      expect(frozen.notSynced).toBeNull();
      expect(frozen.stoppedAt.getTime()).toBeGreaterThanOrEqual(before);
      await expectRunning(web);
      expect(await codeOf(() => driver.halt(web, { timeoutMs: shortTimeoutMs, force: false }, context))).toBe(
        'halt-failed',
      );
      await expectRunning(web);
      expect(await frozen.letGo()).toBeGreaterThanOrEqual(0);
      await frozen[Symbol.asyncDispose]();
      // A guest that had not gone on could not be frozen again.
      await using again = await driver.freeze(web, { syncTimeoutMs: timeoutMs }, context);
      expect(again.stoppedAt.getTime()).toBeGreaterThanOrEqual(frozen.stoppedAt.getTime());
    });

    test('a guest is kept from one run to the next, until it is dropped', async () => {
      if (!isKeepingDriver(driver)) return;
      const keeping = driver;
      const kept = async () =>
        (await keeping.listKept(context)).filter(({ definition: { name: one } }) => one === 'kept');
      const definition = await subject.make('kept', 'obedient');
      await keeping.keep(definition, context);
      const [first, ...others] = await kept();
      expect(others).toEqual([]);
      expect(first?.definition).toMatchObject({ name: 'kept', driver: driver.kind, disks: definition.disks });
      expect(first?.unsupported).toBeUndefined();
      expect(await find('kept')).toEqual([]);

      const another = { ...(await subject.make('another', 'obedient')), name: 'kept' };
      expect(await codeOf(() => keeping.keep(another, context))).toBe('target-exists');
      expect(await keeping.checkBootable(another, context)).toMatchObject([{ code: 'target-exists' }]);

      const running = await start(first?.definition ?? definition);
      expect(await kept()).toEqual([]);
      await driver.halt(running, { timeoutMs, force: false }, context);
      expect((await kept()).map((guest) => guest.definition)).toEqual([first?.definition]);

      await keeping.drop(definition, context);
      expect(await kept()).toEqual([]);
      await keeping.drop(definition, context);
      expect(existsSync(definition.disks[0]?.path ?? '')).toBe(true);
    });

    test('whether a kept guest starts with the machine is kept, and can be changed', async () => {
      if (!isKeepingDriver(driver)) return;
      const keeping = driver;
      const startsWithMachine = async () =>
        (await keeping.listKept(context)).find((guest) => guest.definition.name === 'early')?.definition
          .autostart;
      const definition = await subject.make('early', 'obedient');
      await keeping.keep({ ...definition, autostart: true }, context);
      expect(await startsWithMachine()).toBe(true);
      await keeping.setAutostart(definition, false, context);
      expect(await startsWithMachine()).not.toBe(true);
      await keeping.setAutostart(definition, true, context);
      expect(await startsWithMachine()).toBe(true);
      await keeping.drop(definition, context);
    });

    test('a fenced guest cannot be started without vmferry; afterwards all is as it was', async () => {
      if (!isKeepingDriver(driver)) return;
      const keeping = driver;
      const startByHand = (one: GuestDefinition) => subject.startByHand?.(one);
      const known = async () =>
        (await keeping.listKept(context)).filter((guest) => guest.definition.name === 'fenced');
      await keeping.keep({ ...(await subject.make('fenced', 'obedient')), autostart: true }, context);
      const before = await known();
      const definition = before[0]?.definition ?? missing();
      const fence = await keeping.fence(definition, context);
      expect(fence.length).toBeLessThan(4096);
      expect((await known())[0]?.definition.autostart).not.toBe(true);
      expect(await startByHand(definition)).toBe(false);
      expect(await find('fenced')).toEqual([]);

      await keeping.unfence(definition, fence, context);
      await keeping.unfence(definition, fence, context);
      expect(await known()).toEqual(before);
      expect(await startByHand(definition)).toBe(true);
      const [running] = await find('fenced');
      await driver.halt(running ?? missing(), { timeoutMs: shortTimeoutMs, force: true }, context);
      await keeping.drop(definition, context);
    });

    test('an isolated copy has its own name, and no disks but the copies', async () => {
      const { definition } = web;
      const second = { device: 'other', path: '/srv/other.img', readOnly: true };
      const isolated = await driver.isolate(
        { ...definition, disks: [...definition.disks, second] },
        { name: 'copy', copies: ['/scratch/web.img', undefined], emptyDirectory: '/scratch/empty' },
      );
      expect(isolated).toMatchObject({ name: 'copy', driver: definition.driver });
      expect(isolated.disks).toEqual([{ ...definition.disks[0], path: '/scratch/web.img' }]);
      expect(JSON.stringify(isolated)).not.toContain(diskOf(web));
    });
  });
}

function missing(): never {
  throw new Error('the guest was not found');
}
