import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { appendFile, copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { createQemuDriver } from '../../src/guest/drivers/qemu/driver.ts';
import { openSession } from '../../src/guest/drivers/qemu/running/session.ts';
import { listBitmaps } from '../../src/guest/drivers/qemu/recording/recordings.ts';
import type { RunningGuest, ViewingDriver } from '../../src/guest/guest-driver.ts';
import type { BackupReport } from '../../src/operations/backup/backup-report.ts';
import { poll } from '../../src/pipeline/polling.ts';
import { guestKernelMissing } from '../rigs/kernel/guest-kernel.ts';
import { longestPauseMs, numbersOfOneTime, startWritingGuest } from '../support/guests/writing-guest.ts';
import { scratchDirectory } from '../support/images/images.ts';
import { recordsOf, resultOf } from '../support/programs/command-records.ts';
import { BackupWorld } from '../support/stores/backup-world.ts';
import { startVmferry, vmferry } from '../support/programs/command-line.ts';
import { describeUnless, toolsMissing } from '../support/programs/tools.ts';

const missing =
  toolsMissing('qemu-system-x86_64', 'qemu-img', 'qemu-ga', 'mke2fs', 'e2fsck') ?? guestKernelMissing();
const timeoutMs = 120_000;
const MIB = 2 ** 20;
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
  const consoleLog = join(scratch.path, 'web.log');
  const consoleText = () => readFileSync(consoleLog, 'latin1');
  /** For doc/benchmarks.md. */
  const figures: string[] = [];
  let web: RunningGuest;
  let restores = 0;

  beforeAll(async () => {
    await mkdir(environment.XDG_RUNTIME_DIR);
    await mkdir(images);
    const files = { image: join(images, 'web.img'), consoleLog, timeoutMs };
    web = await startWritingGuest(driver, { ...files, sizeBytes: 96 * MIB, dataBytes: 24 * MIB }, context);
    resultOf(await vmferry(['init', store, '--no-encrypt', '--json'], environment));
  }, 2 * timeoutMs);
  afterAll(async () => {
    const { VMFERRY_FIGURES: file } = process.env;
    if (file !== undefined) await appendFile(file, `${figures.join('\n')}\n`);
    if (web !== undefined) await driver.halt(web, { timeoutMs: 1, force: true }, context);
    scratch[Symbol.dispose]();
  }, timeoutMs);

  const backup = () => vmferry(['backup', 'web', '--to', store, '--json'], environment);
  const leftBeside = () => readdirSync(images).filter((name) => name !== 'web.img');
  const stillRuns = async () =>
    expect(await driver.list(context)).toMatchObject([{ identity: web.identity }]);

  /** What vmferry has in the running QEMU: nodes, bitmaps, exports, and the NBD server. */
  async function leftInQemu(): Promise<string[]> {
    const session = await openSession(web);
    if (typeof session === 'string') throw new Error(session);
    await using _ = session;
    const { qmp } = session;
    const nodes = (await qmp.execute('query-named-block-nodes', { flat: true })) as { 'node-name': string }[];
    const names = [
      ...nodes.map((node) => node['node-name']),
      ...(await listBitmaps(qmp)).map(({ name }) => name),
    ];
    const exported = (await qmp.execute('query-block-exports')) as { id: string }[];
    const served = (await qmp.tryExecute('nbd-server-stop')) === null ? [] : ['an NBD server'];
    return [...names.filter((name) => name.includes('vmferry')), ...exported.map(({ id }) => id), ...served];
  }

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
    figures.push(`QEMU stopped it for ${stopped} ms`);
    expect(leftBeside()).toEqual([]);
    await stillRuns();

    const number = await restoredNumber();
    const before = consoleText().length;
    resultOf(await backup());
    const pauseMs = longestPauseMs(consoleText().slice(before));
    figures.push(`while its backup was viewed, the guest's longest wait for its disk was ${pauseMs} ms`);
    expect(pauseMs).toBeLessThan(LONGEST_STOP_MS);
    const after = consoleText().length;
    expect(await restoredNumber()).toBeGreaterThan(number);
    figures.push(`during the restore that followed, ${longestPauseMs(consoleText().slice(after))} ms`);
  });

  test('is read only where it was written since its last backup', async () => {
    await using world = new BackupWorld();
    const seen = join(world.path, 'seen.img');
    // Keeps a copy of all that the last backup could read.
    const copying: ViewingDriver = {
      ...driver,
      async view(...args) {
        const viewed = await driver.view(...args);
        await copyFile(viewed.views[0] ?? '', seen);
        return viewed;
      },
    };
    world.dependencies.drivers = [driver];
    const backUp = async (guest: string, options = {}) => {
      const { guests } = await world.backup(guest, options);
      const [disk] = guests[0]?.disks ?? [];
      if (disk === undefined) throw new Error('there is no snapshot');
      return { ...disk, snapshot: guests[0]?.snapshot ?? '' };
    };

    const first = await backUp('web');
    expect(first.unchangedBytes).toBe(0);
    world.dependencies.drivers = [copying];
    const second = await backUp('web');
    expect(second.readBytes).toBeGreaterThan(0);
    expect(second.readBytes).toBeLessThan(first.readBytes / 2);
    figures.push(
      `of ${96 * MIB} bytes, the first backup read ${first.readBytes}, the second ${second.readBytes}`,
    );
    expect(world.warnings).toEqual([]);
    // The same as if all had been read at that instant.
    const all = await backUp(seen);
    expect(all.unchangedBytes).toBe(0);
    expect(second.fingerprint).toBe(all.fingerprint);
    expect(second.fingerprint).not.toBe(first.fingerprint);
    const numbers = [first, second].map(({ snapshot }) =>
      numbersOfOneTime(join(world.restoreByScript('web', snapshot), 'web.img')),
    );
    const [before, after] = await Promise.all(numbers);
    expect(after?.first).toBeGreaterThan(before?.first ?? Number.NaN);

    expect(await leftInQemu()).toHaveLength(2);
    const unkept = await backUp('web', { keepClones: false });
    expect(unkept.unchangedBytes).toBe(0);
    // That of the other store.
    expect(await leftInQemu()).toEqual([expect.stringMatching(/^vmferry-[0-9a-f]{32}-[0-9a-f]{16}-0$/)]);
  });

  test('runs on when its backup is killed, and the next backup takes out what that left', async () => {
    // Killed while QEMU shows what was written.
    const programs = join(scratch.path, 'programs');
    await mkdir(programs);
    await writeFile(join(programs, 'qemu-img'), '#!/bin/sh\nkill -9 $PPID\n', { mode: 0o755 });
    const killing = { ...environment, PATH: `${programs}:${process.env['PATH']}` };
    const killed = await vmferry(['backup', 'web', '--to', store, '--json'], killing);
    expect(killed.exitStatus).toBeNull();
    await stillRuns();
    expect(leftBeside()).toHaveLength(1);

    // Killed while it is read.
    const { child, ended } = startVmferry(['backup', 'web', '--to', store, '--json'], environment);
    child.stdin.end();
    child.stdout.on('data', (text: Buffer) => {
      if (text.includes('"stage":"backup"')) child.kill('SIGKILL');
    });
    expect((await ended).exitStatus).toBeNull();
    await stillRuns();
    expect(leftBeside()).toHaveLength(1);
    const next = await backup();
    const [disk] = resultOf<Pick<BackupReport, 'guests'>>(next).guests[0]?.disks ?? [];
    // Compared with the last snapshot, not with what the killed backups have read.
    expect(disk?.unchangedBytes).toBeGreaterThan(disk?.readBytes ?? 0);
    expect(await leftInQemu()).toEqual([expect.stringMatching(/^vmferry-[0-9a-f]{32}-[0-9a-f]{16}-0$/)]);
    expect(next.stdout + next.stderr).toContain('was killed earlier');
    expect(leftBeside()).toEqual([]);
    await stillRuns();
    expect(await restoredNumber()).toBeGreaterThan(0);
  });
});
