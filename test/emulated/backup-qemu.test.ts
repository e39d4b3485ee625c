import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readdirSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { createQemuDriver } from '../../src/guest/drivers/qemu/driver.ts';
import type { RunningGuest } from '../../src/guest/guest-driver.ts';
import { poll } from '../../src/pipeline/polling.ts';
import { guestKernelMissing } from '../rigs/kernel/guest-kernel.ts';
import { numbersOfOneTime, startWritingGuest } from '../support/guests/writing-guest.ts';
import { scratchDirectory } from '../support/images/images.ts';
import { recordsOf, resultOf } from '../support/programs/command-records.ts';
import { startVmferry, vmferry } from '../support/programs/command-line.ts';
import { describeUnless, toolsMissing } from '../support/programs/tools.ts';

const missing = toolsMissing('qemu-system-x86_64', 'qemu-ga', 'mke2fs', 'e2fsck') ?? guestKernelMissing();
const timeoutMs = 120_000;
/** A processor that is emulated, and shared with other tests, stands still for longer than a real one. */
const LONGEST_STOP_MS = 10_000;

describeUnless(missing, 'a running guest of QEMU that writes', () => {
  const scratch = scratchDirectory();
  const environment = {
    ...process.env,
    XDG_RUNTIME_DIR: join(scratch.path, 'run'),
    VMFERRY_MACHINE: scratch.path,
    VMFERRY_STATE_DIR: join(scratch.path, 'state'),
  };
  const driver = createQemuDriver(environment);
  const context = { signal: new AbortController().signal, report: () => undefined };
  const images = join(scratch.path, 'images');
  const store = join(scratch.path, 'store');
  let web: RunningGuest;
  let restores = 0;

  beforeAll(async () => {
    await mkdir(environment.XDG_RUNTIME_DIR);
    await mkdir(images);
    const files = { image: join(images, 'web.img'), consoleLog: join(scratch.path, 'web.log'), timeoutMs };
    web = await startWritingGuest(driver, files, context);
    resultOf(await vmferry(['init', store, '--no-encrypt', '--json'], environment));
  }, 2 * timeoutMs);
  afterAll(async () => {
    if (web !== undefined) await driver.halt(web, { timeoutMs: 1, force: true }, context);
    scratch[Symbol.dispose]();
  }, timeoutMs);

  const backup = () => vmferry(['backup', 'web', '--to', store, '--json'], environment);
  const leftBeside = () => readdirSync(images).filter((name) => name !== 'web.img');
  const stillRuns = async () =>
    expect(await driver.list(context)).toMatchObject([{ identity: web.identity }]);

  async function restoredNumber(): Promise<number> {
    const directory = join(scratch.path, `restored-${++restores}`);
    await mkdir(directory);
    resultOf(await vmferry(['restore', store, 'web', '--to', `${directory}/`, '--json'], environment));
    return (await numbersOfOneTime(join(directory, 'web.img'))).first;
  }

  test('is backed up as it was at one instant, and hardly stops', async () => {
    // The agent takes a while to start. Until then, a backup is as after a crash.
    let ended: Awaited<ReturnType<typeof backup>> = await backup();
    const isFrozen = async () => {
      ended = await backup();
      return resultOf<{ guests: { consistency: string }[] }>(ended).guests[0]?.consistency === 'frozen';
    };
    const wait = { timeoutMs: 2 * timeoutMs, intervalMs: 100, signal: context.signal };
    expect(await poll(isFrozen, wait)).toBe(true);
    const details = recordsOf(ended).map((record) => JSON.stringify(record));
    const stopped = details.map((line) => /it was stopped for (\d+) ms/.exec(line)?.[1]).find(Boolean);
    expect(Number(stopped)).toBeLessThan(LONGEST_STOP_MS);
    expect(leftBeside()).toEqual([]);
    await stillRuns();

    const number = await restoredNumber();
    resultOf(await backup());
    expect(await restoredNumber()).toBeGreaterThan(number);
  });

  test('runs on when its backup is killed, and the next backup takes out what that left', async () => {
    const { child, ended } = startVmferry(['backup', 'web', '--to', store, '--json'], environment);
    child.stdin.end();
    child.stdout.on('data', (text: Buffer) => {
      if (text.includes('"stage":"backup"')) child.kill('SIGKILL');
    });
    expect((await ended).exitStatus).toBeNull();
    await stillRuns();
    expect(leftBeside()).toHaveLength(1);
    const next = await backup();
    resultOf(next);
    expect(next.stdout + next.stderr).toContain('was killed earlier');
    expect(leftBeside()).toEqual([]);
    await stillRuns();
    expect(await restoredNumber()).toBeGreaterThan(0);
  });
});
