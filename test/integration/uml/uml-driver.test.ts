import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Context, Event } from '../../../src/events.ts';
import { Failure } from '../../../src/failure.ts';
import type { GuestDefinition } from '../../../src/guest/definition.ts';
import type { GuestDriver, RunningGuest } from '../../../src/guest/guest-driver.ts';
import { createUmlDriver } from '../../../src/guest/drivers/uml/driver.ts';
import { listProcesses, readProcess } from '../../../src/system/proc-process.ts';
import { run } from '../../../src/system/processes.ts';
import { cowHeader } from '../../support/images/cow-images.ts';
import { patchFile } from '../../support/images/images.ts';
import { describeUnless } from '../../support/programs/tools.ts';
import {
  bootUmlGuest,
  buildGuestImage,
  damagedGuestFiles,
  guestBootCount,
  isFileSystemClean,
  quickBoot,
  waitForConsole,
  type BootedGuest,
  type GuestImage,
  type GuestImageOptions,
  GUEST_MEMORY_BYTES,
} from '../../support/guests/uml-guest.ts';
import {
  kernelWithoutXstate,
  umlKernel,
  umlKernelScript,
  umlMissing,
} from '../../support/guests/uml-kernel.ts';

const timeoutMs = 20_000;

describeUnless(umlMissing(), 'the UML driver', () => {
  let directory: string;
  let umlDir: string;
  let driver: GuestDriver;
  let booted: BootedGuest[];
  let events: Event[];
  let context: Context;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'vmferry-test-'));
    umlDir = join(directory, 'uml');
    driver = createUmlDriver({ ...process.env, UML_DIR: umlDir });
    booted = [];
    events = [];
    context = { signal: new AbortController().signal, report: (event) => events.push(event) };
  });

  afterEach(async () => {
    for (const { identity } of await driver.list(context)) process.kill(-(identity.pid ?? 0), 'SIGKILL');
    for (const guest of booted) await guest.stop();
    rmSync(directory, { recursive: true });
  });

  function image(options: Partial<GuestImageOptions> = {}): Promise<GuestImage> {
    return buildGuestImage({
      path: join(directory, 'guest.img'),
      dataBytes: 65_536,
      onCtrlAltDel: 'quick-poweroff',
      ...options,
    });
  }

  async function boot(path: string, name: string): Promise<BootedGuest> {
    const guest = await bootUmlGuest({ image: path, name, umlDir });
    booted.push(guest);
    return guest;
  }

  async function only(): Promise<RunningGuest> {
    const guests = await driver.list(context);
    expect(guests).toHaveLength(1);
    return guests[0] as RunningGuest;
  }

  function definition(path: string, name: string): GuestDefinition {
    return {
      name,
      driver: 'uml',
      memoryBytes: GUEST_MEMORY_BYTES,
      cpuCount: null,
      kernel: umlKernel(),
      initrd: null,
      disks: [{ device: 'ubd0', path, readOnly: false }],
      commandLine: ['root=/dev/ubda', 'rw', ...quickBoot],
    };
  }

  /** A script that stands for the kernel, which it finds as $KERNEL. */
  function kernelScript(script: string): string {
    const path = join(directory, 'linux');
    writeFileSync(path, `#!/bin/bash\nKERNEL=${umlKernel()}\n${script}\n`, { mode: 0o755 });
    return path;
  }

  const startOptions = () => ({ consoleLog: join(directory, 'log', 'console.log'), timeoutMs: 60_000 });

  async function failureOf(promise: Promise<unknown>): Promise<Failure> {
    const thrown = await promise.then(
      () => null,
      (error: unknown) => error,
    );
    expect(thrown).toBeInstanceOf(Failure);
    return thrown as Failure;
  }

  /** The number of processes of a guest, which share a session. */
  const sessionSize = (pid: number) => listProcesses().filter((stat) => stat.sessionId === pid).length;

  test('lists a guest as it was started', async () => {
    const { path } = await image();
    const { pid } = await boot(path, 'alpha');
    const guest = await only();
    expect(guest).toEqual({
      identity: { id: expect.stringContaining(String(pid)), label: `process ${pid}`, pid },
      cpuSeconds: expect.any(Number),
      definition: {
        ...definition(path, 'alpha'),
        commandLine: ['root=/dev/ubda', 'rw', ...quickBoot, 'con=null', 'con0=null,fd:1'],
      },
    });
    expect(guest.cpuSeconds).toBeGreaterThan(0.1);
    expect(guest.cpuSeconds).toBeLessThan(60);
  });

  test('finds disks that were given by relative paths', async () => {
    const { path } = await image();
    const extraArgs = [`ubd1r=${relative('/', path)}`, 'ubd2=../../none.img'];
    const guest = await bootUmlGuest({
      image: path,
      name: 'alpha',
      umlDir,
      extraArgs,
      workingDirectory: '/',
    });
    booted.push(guest);
    expect((await only()).definition.disks.map((disk) => [disk.device, disk.path, disk.readOnly])).toEqual([
      ['ubd0', path, false],
      ['ubd1', path, true],
      ['ubd2', '/none.img', false],
    ]);
  });

  test('does not take a left-over directory for a guest', async () => {
    for (const [name, pid] of [
      ['ended', '999999999'],
      ['reused', String(process.pid)],
      ['rubbish', 'x'],
    ] as const) {
      mkdirSync(join(umlDir, name), { recursive: true });
      writeFileSync(join(umlDir, name, 'pid'), `${pid}\n`);
    }
    mkdirSync(join(umlDir, 'empty'));
    writeFileSync(join(umlDir, 'file'), '');
    expect(await driver.list(context)).toEqual([]);
  });

  test('finds a guest under the random name it got when its own was taken', async () => {
    const first = await image();
    const second = await image({ path: join(directory, 'second.img') });
    await boot(first.path, 'alpha');
    const { pid } = await boot(second.path, 'alpha');
    const guests = await driver.list(context);
    expect(guests).toHaveLength(2);
    const other = guests.find((guest) => guest.identity.pid === pid);
    expect(other?.definition.name).not.toBe('alpha');
    expect(other?.definition.disks[0]?.path).toBe(second.path);
    await driver.halt(other as RunningGuest, { timeoutMs, force: false }, context);
    expect((await only()).definition.name).toBe('alpha');
  });

  test('recognises a copy-on-write disk, as the kernel does without being told', async () => {
    const { path } = await image();
    const cow = join(directory, 'guest.cow');
    const guest = await bootUmlGuest({ image: `${cow},${path}`, name: 'alpha', umlDir });
    booted.push(guest);
    const named = await only();
    const disk = { device: 'ubd0', path: cow, readOnly: false, format: 'cow' };
    expect(named.definition.disks).toEqual([{ ...disk, backing: path }]);
    await guest.stop();
    await boot(cow, 'beta');
    const unnamed = await only();
    expect(unnamed.unsupported).toBeUndefined();
    expect(unnamed.definition.disks).toEqual([disk]);
    await driver.halt(unnamed, { timeoutMs, force: false }, context);
    await driver.start(named.definition, { ...startOptions(), timeoutMs: 120_000 }, context);
    expect((await only()).definition.disks).toEqual(named.definition.disks);
  });

  test('does not believe a guest that writes the header of a copy-on-write file on its own disk', async () => {
    const { path } = await image();
    const other = join(directory, 'other.img');
    writeFileSync(other, Buffer.alloc(statSync(path).size / 2));
    await boot(path, 'alpha');
    patchFile(path, 0, cowHeader({ backing: other, sizeBytes: statSync(other).size }));
    expect((await only()).unsupported).toMatchObject({
      code: 'guest-unsupported',
      message: expect.stringContaining('does not have the backing file open'),
      advice: expect.stringContaining(`ubd0d=${path}`),
    });
  });

  test('halts a guest by Ctrl-Alt-Del', async () => {
    const { path, files } = await image({ onCtrlAltDel: 'poweroff' });
    const { pid } = await boot(path, 'alpha');
    await driver.halt(await only(), { timeoutMs, force: false }, context);
    expect(sessionSize(pid)).toBe(0);
    expect(await isFileSystemClean(path)).toBe(true);
    expect(await guestBootCount(path)).toBe(1);
    expect(await damagedGuestFiles(path, files)).toEqual([]);
    expect(events).toEqual([]);
  });

  test('notices that a guest reboots instead, and halts it nevertheless', async () => {
    const { path, files } = await image({ onCtrlAltDel: 'reboot' });
    const { pid } = await boot(path, 'alpha');
    await driver.halt(await only(), { timeoutMs, force: false }, context);
    expect(sessionSize(pid)).toBe(0);
    expect(await isFileSystemClean(path)).toBe(true);
    expect(await damagedGuestFiles(path, files)).toEqual([]);
    expect(events).toEqual([expect.objectContaining({ type: 'warning', code: 'guest-rebooted' })]);
  });

  test('says which ways of halting were tried, and kills all processes of the guest with force', async () => {
    const { path } = await image({ onCtrlAltDel: 'ignore' });
    const { pid } = await boot(path, 'alpha');
    const guest = await only();
    const failure = await failureOf(driver.halt(guest, { timeoutMs: 2000, force: false }, context));
    expect(failure.message).toMatch(/Ctrl-Alt-Del.*sysrq/);
    await driver.halt(guest, { timeoutMs: 2000, force: true }, context);
    expect(sessionSize(pid)).toBe(0);
  });

  test('asks nothing of a guest that somebody has stopped, and leaves it stopped', async () => {
    const { path } = await image();
    await boot(path, 'alpha');
    const guest = await only();
    const socket = join(umlDir, 'alpha', 'mconsole');
    expect((await run('uml_mconsole', [socket, 'stop'])).stdout).toMatch(/^OK/);
    const failure = await failureOf(driver.halt(guest, { timeoutMs, force: false }, context));
    expect(failure).toMatchObject({
      code: 'halt-failed',
      message: expect.stringContaining('it is stopped'),
      advice: expect.stringContaining('uml_mconsole alpha go'),
    });
    expect((await run('uml_mconsole', [socket, 'stop'])).stdout).toMatch(/^ERR Already stopped/);
    expect((await run('uml_mconsole', [socket, 'go'])).stdout).toMatch(/^OK/);
    await driver.halt(guest, { timeoutMs, force: false }, context);
    expect(await isFileSystemClean(path)).toBe(true);
  });

  test('kills a guest that somebody has stopped, with force', async () => {
    const { path } = await image();
    const { pid } = await boot(path, 'alpha');
    await run('uml_mconsole', [join(umlDir, 'alpha', 'mconsole'), 'stop']);
    await driver.halt(await only(), { timeoutMs, force: true }, context);
    expect(sessionSize(pid)).toBe(0);
  });

  test('starts a guest detached, and halts it again', async () => {
    const { path } = await image();
    mkdirSync(join(umlDir, 'alpha'), { recursive: true });
    writeFileSync(join(umlDir, 'alpha', 'pid'), '999999999\n');
    writeFileSync(join(umlDir, 'alpha', 'mconsole'), '');
    const options = startOptions();
    const guest = await driver.start(definition(path, 'alpha'), options, context);
    const { pid = 0 } = guest.identity;
    expect(readProcess(pid)?.sessionId).toBe(pid);
    expect(guest.definition).toEqual({
      ...definition(path, 'alpha'),
      commandLine: ['con=null', 'con0=null,fd:1', 'root=/dev/ubda', 'rw', ...quickBoot],
    });
    await waitForConsole(options.consoleLog, /GUEST-UP boots=1/);
    expect(statSync(options.consoleLog).mode & 0o777).toBe(0o600);
    await driver.halt(guest, { timeoutMs, force: false }, context);
    expect(await isFileSystemClean(path)).toBe(true);
    await driver.start(guest.definition, options, context);
    await waitForConsole(options.consoleLog, /GUEST-UP boots=2/);
    expect(readFileSync(options.consoleLog, 'latin1')).toMatch(/GUEST-UP boots=1/);
  });

  test.each([
    ['has no root file system', ['root=/dev/ubdb'], /Unable to mount root|VFS/],
    ['has no init', ['root=/dev/ubda', 'init=/nothing'], /No working init|init=\/nothing|panic/],
  ])(
    'says why a guest that %s does not start, and leaves no process of it',
    async (_, commandLine, reason) => {
      const { path } = await image();
      const before = listProcesses().length;
      const options = startOptions();
      const failure = await failureOf(
        driver.start({ ...definition(path, 'alpha'), commandLine }, options, context),
      );
      expect(failure.code).toBe('start-failed');
      expect(failure.message).toMatch(reason);
      expect(failure.message).toMatch(/Kernel panic/);
      expect(failure.advice).toContain(options.consoleLog);
      expect(await driver.list(context)).toEqual([]);
      expect(listProcesses().filter(({ pid }) => pid > before && commandLineOf(pid).includes(path))).toEqual(
        [],
      );
      expect(existsSync(join(umlDir, 'alpha'))).toBe(false);
    },
  );

  test('ends a guest that is not up in time', async () => {
    // Within this time the kernel does not even answer. A guest that answers late, but in time, is up.
    const { path } = await image();
    const failure = await failureOf(
      driver.start(definition(path, 'alpha'), { ...startOptions(), timeoutMs: 50 }, context),
    );
    expect(failure.code).toBe('start-failed');
    expect(await driver.list(context)).toEqual([]);
    expect(listProcesses().filter(({ pid }) => commandLineOf(pid).includes(path))).toEqual([]);
  });

  test('lists everything that keeps a guest from being booted here', async () => {
    const bare = createUmlDriver({ ...process.env, UML_DIR: umlDir, PATH: directory });
    const wanted = {
      ...definition('/images/a,b.img', 'alpha'),
      kernel: '/nowhere/linux',
      initrd: '/nowhere/initrd',
    };
    const problems = await bare.checkBootable(wanted, context);
    expect(problems.map(({ message }) => message)).toEqual([
      expect.stringContaining('/nowhere/linux'),
      expect.stringContaining('uml_mconsole'),
      expect.stringContaining('/nowhere/initrd'),
      expect.stringContaining('/images/a,b.img'),
    ]);
    const long = await driver.checkBootable(definition('/images/a.img', 'x'.repeat(64)), context);
    expect(long.map(({ code }) => code)).toEqual(['guest-unsupported']);
  });

  test('tries the kernel before a guest depends on it', async () => {
    // Other tests try kernels at the same time.
    const ownTemporary = join(directory, 'tmp');
    mkdirSync(ownTemporary);
    driver = createUmlDriver({ ...process.env, UML_DIR: umlDir, TMPDIR: ownTemporary });
    const wanted = definition('/images/a.img', 'alpha');
    expect(await driver.checkBootable(wanted, context)).toEqual([]);
    const broken = join(directory, 'linux');
    writeFileSync(broken, '#!/bin/sh\necho "Kernel panic - not syncing: no luck"\nexit 1\n', { mode: 0o755 });
    expect(await driver.checkBootable({ ...wanted, kernel: broken }, context)).toEqual([
      expect.objectContaining({ code: 'hypervisor-missing', message: expect.stringContaining('no luck') }),
    ]);
    expect(readdirSync(ownTemporary)).toEqual([]);
  });

  test('accepts a kernel that aborts only after it has switched off', async () => {
    const abortsAtTheEnd = kernelScript('"$KERNEL" "$@"; kill -ABRT $$');
    const wanted = { ...definition('/images/a.img', 'alpha'), kernel: abortsAtTheEnd };
    expect(await driver.checkBootable(wanted, context)).toEqual([]);
  });

  test('tries and starts a kernel a second time if it ended by itself', async () => {
    const { path } = await image();
    const failsOnce = kernelScript(
      'if mkdir "$0.tried"; then kill -ABRT $$; fi; exec -a "$0" "$KERNEL" "$@"',
    );
    const wanted = { ...definition(path, 'alpha'), kernel: failsOnce, memoryBytes: 64 * 2 ** 20 };
    expect(await driver.checkBootable(wanted, context)).toEqual([]);
    rmSync(`${failsOnce}.tried`, { recursive: true });
    const options = startOptions();
    await driver.start(wanted, options, context);
    await waitForConsole(options.consoleLog, /GUEST-UP boots=1/);
    expect(events).toEqual([
      {
        type: 'warning',
        code: 'guest-started-twice',
        message: expect.stringMatching(/console.*64 MiB of memory.*less than 96 MiB/s),
      },
    ]);
    expect(events[0]).toMatchObject({ message: expect.stringContaining(options.consoleLog) });
    await only();
  });

  test('reports a processor that is too new for the kernel', async () => {
    const wanted = { ...definition('/images/a.img', 'alpha'), kernel: kernelWithoutXstate() };
    expect(await driver.checkBootable(wanted, context)).toEqual([
      expect.objectContaining({ code: 'hypervisor-missing', advice: expect.stringContaining('AMX') }),
    ]);
  });

  // The path is remembered as it was given, not with links resolved: an administrator may keep one link (or script) as
  // the kernel of all guests, and change it to change the kernel of all.
  test.each([
    ['a link to it', (path: string) => symlinkSync(umlKernel(), path)],
    ['a script', (path: string) => writeFileSync(path, umlKernelScript(), { mode: 0o755 })],
  ])('uses the kernel on the PATH, %s, if the guest’s own is missing, and says so', async (_, put) => {
    const { path } = await image();
    const programs = join(directory, 'bin');
    mkdirSync(programs);
    const kernel = join(programs, 'linux.uml');
    put(kernel);
    const PATH = `${programs}:${process.env['PATH']}`;
    driver = createUmlDriver({ ...process.env, UML_DIR: umlDir, PATH });
    const wanted = { ...definition(path, 'alpha'), kernel: '/nowhere/linux' };
    expect(await driver.checkBootable(wanted, context)).toEqual([]);
    expect(events).toEqual([
      expect.objectContaining({ code: 'kernel-differs', message: expect.stringContaining(kernel) }),
    ]);
    const guest = await driver.start(wanted, startOptions(), context);
    expect(guest.definition.kernel).toBe(kernel);
    expect((await only()).definition.kernel).toBe(kernel);
  });

  test('finds guests below HOME if UML_DIR is not set', async () => {
    const { path } = await image();
    const { UML_DIR: _, ...environment } = process.env;
    driver = createUmlDriver({ ...environment, HOME: directory });
    const guest = await driver.start(definition(path, 'alpha'), startOptions(), context);
    expect(existsSync(join(directory, '.uml', 'alpha', 'pid'))).toBe(true);
    const { stdout } = await run('uml_mconsole', ['alpha', 'version'], {
      env: { ...environment, HOME: directory },
    });
    expect(stdout).toMatch(/^OK/);
    await driver.halt(guest, { timeoutMs, force: false }, context);
  });
});

function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
