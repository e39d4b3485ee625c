import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { copyFile, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { run } from '../../../src/system/processes.ts';
import { findTool } from '../programs/tools.ts';
import type { GuestProgram } from './guest-programs.ts';
import { umlKernel } from './uml-kernel.ts';

type CtrlAltDel = 'poweroff' | 'quick-poweroff' | 'reboot' | 'ignore';

export interface GuestImageOptions {
  /** The image to make. */
  path: string;
  /** 64 MiB unless told. */
  sizeBytes?: number;
  /** ext3 unless told. */
  fileSystem?: 'ext2' | 'ext3' | 'ext4';
  /** Further arguments of mke2fs, such as `-b 1024`. */
  mke2fsArguments?: readonly string[];
  /**
   * What the guest does when asked to shut down by Ctrl-Alt-Del. `ignore`: nothing, and it has sysrq switched
   * off, too: no orderly way to halt it is left. `quick-poweroff`: in order, but without the seconds that init
   * gives its programs.
   */
  onCtrlAltDel?: CtrlAltDel;
  /** Bytes of random data in the guest; 1 MiB unless told. */
  dataBytes?: number;
  /** Without it the guest has no name, and does not use its network card. */
  network?: GuestNetwork;
  /** Further programs that the guest starts when it boots. See guest-programs.ts. */
  programs?: readonly GuestProgram[];
  /** Whether it shows a prompt when it is up, as most guests do; true unless told. Without one, a driver waits until the guest is idle. */
  showsPrompt?: boolean;
}

/** The guest answers on its port with a line: its name, `boots=N`, and the MAC address of its card. */
export interface GuestNetwork {
  hostName: string;
  /** With the length of the prefix: `10.0.2.77/24`. */
  address: string;
  /** GUEST_PORT unless given. */
  port?: number;
}

export const GUEST_PORT = 7;

export interface GuestImage {
  path: string;
  /** Files in the guest that no program in it changes, and the SHA-256 of each in hexadecimal digits. */
  files: readonly { path: string; sha256: string }[];
}

/**
 * Makes a guest's disk without mounting anything: a file system with busybox in it, whose init counts the boots in
 * `/boots` and then says `GUEST-UP boots=N` on the console, and shows a prompt.
 */
export async function buildGuestImage(options: GuestImageOptions): Promise<GuestImage> {
  const tree = mkdtempSync(join(tmpdir(), 'vmferry-guest-tree-'));
  try {
    await writeSystem(tree, options.onCtrlAltDel ?? 'poweroff', options);
    const files = await writeData(tree, options.dataBytes ?? 2 ** 20);
    await writeFile(options.path, '');
    await truncate(options.path, options.sizeBytes ?? 64 * 2 ** 20);
    const { exitStatus, stderr } = await run(required('mke2fs'), [
      '-qF',
      '-t',
      options.fileSystem ?? 'ext3',
      '-E',
      'root_owner=0:0',
      ...(options.mke2fsArguments ?? []),
      '-d',
      tree,
      options.path,
    ]);
    if (exitStatus !== 0) throw new Error(`mke2fs: ${stderr}`);
    return { path: options.path, files };
  } finally {
    rmSync(tree, { recursive: true });
  }
}

async function writeSystem(
  tree: string,
  onCtrlAltDel: CtrlAltDel,
  { network, programs = [], showsPrompt = true }: GuestImageOptions,
): Promise<void> {
  chmodSync(tree, 0o755);
  for (const directory of ['bin', 'sbin', 'dev', 'proc', 'sys', 'etc', 'data', 'tmp'])
    mkdirSync(join(tree, directory));
  await copyFile(required('busybox'), join(tree, 'bin/busybox'));
  for (const program of ['sh', 'mount', 'umount', 'cat', 'echo', 'sync'])
    await symlink('busybox', join(tree, 'bin', program));
  for (const program of ['init', 'poweroff', 'reboot', 'halt'])
    await symlink('../bin/busybox', join(tree, 'sbin', program));
  const inittab = ['::sysinit:/etc/rc', '::shutdown:/bin/umount -a -r'];
  if (onCtrlAltDel !== 'ignore') inittab.push(`::ctrlaltdel:/sbin/${onCtrlAltDel}`);
  if (network !== undefined)
    inittab.push(`::respawn:/bin/busybox nc -ll -p ${network.port ?? GUEST_PORT} -e /sbin/answer`);
  const quickly = ['echo going down', 'busybox sleep 0.5', 'mount -o remount,ro /', 'exec /sbin/poweroff -f'];
  await writeFile(join(tree, 'sbin/quick-poweroff'), `#!/bin/sh\n${quickly.join('\n')}\n`, { mode: 0o755 });
  await writeFile(join(tree, 'etc/inittab'), `${inittab.join('\n')}\n`);
  const rc = [
    '#!/bin/sh',
    'mount -t proc proc /proc',
    ...(onCtrlAltDel === 'ignore' ? ['echo 0 >/proc/sys/kernel/sysrq'] : []),
    ...(network === undefined ? [] : await writeNetwork(tree, network)),
    'boots=$(( $(cat /boots) + 1 )); echo $boots >/boots; sync',
    ...programs.flatMap(({ startLines }) => startLines),
    'echo GUEST-UP boots=$boots',
    ...(showsPrompt ? ['echo "guest login: "'] : []),
  ];
  for (const { install } of programs) await install(tree);
  await writeFile(join(tree, 'etc/rc'), `${rc.join('\n')}\n`, { mode: 0o755 });
  await writeFile(join(tree, 'boots'), '0\n');
}

/** Returns the lines of the boot script that the network needs. */
async function writeNetwork(tree: string, { hostName, address }: GuestNetwork): Promise<string[]> {
  await writeFile(join(tree, 'etc/hostname'), `${hostName}\n`);
  const answer = 'echo "$(busybox hostname) boots=$(cat /boots) $(cat /sys/class/net/eth0/address)"';
  await writeFile(join(tree, 'sbin/answer'), `#!/bin/sh\n${answer}\n`, { mode: 0o755 });
  return [
    'mount -t sysfs sysfs /sys',
    'busybox hostname -F /etc/hostname',
    'busybox ip link set lo up',
    `[ -e /sys/class/net/eth0 ] && busybox ip address add ${address} dev eth0 && busybox ip link set eth0 up`,
  ];
}

async function writeData(tree: string, dataBytes: number): Promise<GuestImage['files']> {
  const contents: [string, Buffer][] = [
    ['/data/random', randomBytes(dataBytes)],
    ['/data/text', Buffer.from('The quick brown fox jumps over the lazy dog.\n'.repeat(20_000))],
    ['/data/empty', Buffer.alloc(0)],
  ];
  for (const [path, content] of contents) await writeFile(join(tree, path), content);
  return contents.map(([path, content]) => ({ path, sha256: sha256(content) }));
}

/** A file of an image that no guest uses, as it is there. */
export function readGuestFile(image: string, path: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const debugfs = spawn(required('debugfs'), ['-R', `cat ${path}`, image], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const parts: Buffer[] = [];
    debugfs.stdout.on('data', (part: Buffer) => parts.push(part));
    debugfs.on('error', reject).on('close', () => resolve(Buffer.concat(parts)));
  });
}

/** The guest's data files whose content has changed since it was made; empty if the guest is undamaged. */
export async function damagedGuestFiles(image: string, files: GuestImage['files']): Promise<string[]> {
  const damaged: string[] = [];
  for (const file of files)
    if (sha256(await readGuestFile(image, file.path)) !== file.sha256) damaged.push(file.path);
  return damaged;
}

export async function guestBootCount(image: string): Promise<number> {
  return Number((await readGuestFile(image, '/boots')).toString());
}

/** Whether the file system says that it was unmounted cleanly. */
export async function isFileSystemClean(image: string): Promise<boolean> {
  const { stdout } = await run(required('dumpe2fs'), ['-h', image]);
  return /^Filesystem state: +clean$/m.test(stdout) && !/\bneeds_recovery\b/.test(stdout);
}

/**
 * Arguments for test guests. Without them, the kernel measures RAID algorithms for most of a second at each boot, and
 * tries other file systems before the guest's.
 */
export const quickBoot = ['initcall_blacklist=raid6_select_algo', 'rootfstype=ext3,ext4,ext2'] as const;

/** With less, a kernel sometimes does not start (startUml says why). */
export const GUEST_MEMORY_BYTES = 128 * 2 ** 20;

export interface BootOptions {
  /** Absolute; for a copy-on-write disk `COW,BACKING`. */
  image: string;
  /** The guest's umid. */
  name: string;
  /** Where the mconsole socket and the pid file go; a directory of its own unless told. */
  umlDir?: string;
  /** GUEST_MEMORY_BYTES unless told. */
  memoryBytes?: number;
  extraArgs?: readonly string[];
  /** The directory at which relative paths in the arguments begin. */
  workingDirectory?: string;
  /** A program and its arguments that start the kernel, such as `ip netns exec NAME`. */
  startedBy?: readonly string[];
  /** What the console shows when the guest is up: GUEST-UP unless told. */
  upText?: RegExp;
  /** How long that may take; a minute unless told. */
  timeoutMs?: number;
}

export interface BootedGuest {
  /** The kernel's process, which leads the session of all processes of the guest. */
  pid: number;
  umlDir: string;
  consoleLog: string;
  /** Kills all processes of the guest, if it still runs, and removes the files that were made for it. */
  stop: () => Promise<void>;
}

/** Boots a guest by hand, without vmferry, and returns when it is up. */
export async function bootUmlGuest(options: BootOptions): Promise<BootedGuest> {
  const directory = mkdtempSync(join(tmpdir(), 'vmferry-uml-'));
  const umlDir = options.umlDir ?? join(directory, 'uml');
  mkdirSync(umlDir, { recursive: true });
  const consoleLog = join(directory, 'console.log');
  const log = openSync(consoleLog, 'a');
  const [program, ...programArguments] = [...(options.startedBy ?? []), umlKernel()];
  const child = spawn(
    program,
    [
      ...programArguments,
      `ubd0=${options.image}`,
      'root=/dev/ubda',
      'rw',
      ...quickBoot,
      `mem=${(options.memoryBytes ?? GUEST_MEMORY_BYTES) / 2 ** 20}M`,
      `umid=${options.name}`,
      `uml_dir=${umlDir}`,
      'con=null',
      'con0=null,fd:1',
      ...(options.extraArgs ?? []),
    ],
    // Its own HOME keeps tests apart from the user's own guests.
    {
      detached: true,
      stdio: ['ignore', log, log],
      cwd: options.workingDirectory ?? directory,
      env: { ...process.env, HOME: directory },
    },
  );
  closeSync(log);
  const ended = new Promise<void>((resolve) =>
    child.on('exit', () => resolve()).on('error', () => resolve()),
  );
  const pid = child.pid;
  if (pid === undefined) throw new Error('linux.uml could not be started');
  child.unref();
  const stop = async (): Promise<void> => {
    endProcessGroup(pid);
    await ended;
    rmSync(directory, { recursive: true, force: true });
    // Another guest may have got the name meanwhile.
    const umidDirectory = join(umlDir, options.name);
    if (isPidFileOf(join(umidDirectory, 'pid'), pid)) rmSync(umidDirectory, { recursive: true });
  };
  try {
    const isAlive = () => child.exitCode === null && child.signalCode === null;
    await waitForConsole(consoleLog, options.upText ?? /GUEST-UP/, isAlive, options.timeoutMs);
  } catch (error) {
    await stop();
    throw error;
  }
  return { pid, umlDir, consoleLog, stop };
}

/**
 * Waits until the console log holds the text; throws, with the end of the log, when the guest is gone or after a minute.
 */
export async function waitForConsole(
  consoleLog: string,
  text: RegExp,
  isAlive: () => boolean = () => true,
  timeoutMs = 60_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const alive = isAlive();
    const console = readFileSync(consoleLog, 'latin1');
    if (text.test(console)) return;
    if (!alive || Date.now() > deadline)
      throw new Error(`the guest did not say ${text.source}: ${console.slice(-2000)}`);
    await delay(50);
  }
}

function endProcessGroup(leaderPid: number): void {
  try {
    process.kill(-leaderPid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function isPidFileOf(file: string, pid: number): boolean {
  return existsSync(file) && Number(readFileSync(file, 'utf8')) === pid;
}

function sha256(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

function required(program: string): string {
  const file = findTool(program);
  if (file === null) throw new Error(`${program} is not installed`);
  return file;
}
