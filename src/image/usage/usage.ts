import { closeSync, constants, openSync, type BigIntStats } from 'node:fs';
import { readFile, readdir, stat } from 'node:fs/promises';
import { companionPids } from '../../system/companion-process.ts';
import { lockHolderPid } from '../../system/native.ts';
import { errorCode } from '../../system/error-code.ts';
import { howOpen, isSameFile } from './open-descriptors.ts';
import { isInOwnView } from './own-views.ts';
import { processName } from './process-name.ts';

/*
 * Finds what uses an image. Sources: proc(5); Linux, Documentation/ABI/{testing/sysfs-block,stable/sysfs-block}.
 * Processes that start or end meanwhile, and unreadable ones of other users, are left out.
 */

export interface ImageUser {
  kind: 'process' | 'lock' | 'loop-device' | 'mount' | 'holder';
  /** The pid of a process, or of the holder of a lock if the kernel tells it. */
  pid?: number;
  /** For a process or a lock: whether it is for reading only, as that of another backup is. */
  onlyReads?: boolean;
  /** The process's name, the device, or the mount point. */
  name: string;
  /** The end of a sentence: "is open in qemu (process 123)". */
  description: string;
}

/**
 * Finds all users of an image except this process and its companions: it is open, locked, mounted, or attached as another device. A process that
 * holds a lock is listed once, as `lock`. Does not see memory maps without an open descriptor, nor, unless run by root, other
 * users' processes. Takes no lock. An image that does not exist has no users.
 */
export async function findUsers(path: string): Promise<ImageUser[]> {
  const image = await statOrNull(path);
  if (image === null) return [];
  const lock = await findLock(path, image);
  const processes = await findProcesses(image);
  const others = processes.filter(({ pid }) => pid !== lock?.pid);
  const attached = image.isBlockDevice()
    ? [...(await findMounts(image)), ...(await findHolders(image))]
    : await findLoopDevices(image);
  const users = [...(lock === null ? [] : [lock]), ...others, ...attached];
  if (users.length === 0 && image.isBlockDevice() && isClaimed(path))
    users.push({
      kind: 'holder',
      name: 'kernel',
      description: 'is claimed by the kernel (mounted, or part of another device)',
    });
  return users;
}

async function statOrNull(path: string): Promise<BigIntStats | null> {
  return stat(path, { bigint: true }).catch(() => null);
}

async function textOrEmpty(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}

async function namesIn(directory: string): Promise<string[]> {
  return readdir(directory).catch(() => []);
}

async function findLock(path: string, image: BigIntStats): Promise<ImageUser | null> {
  const lock = askForLock(path);
  if (lock === null) return null;
  const { pid, onlyReads } = lock;
  // It can be that of our own view.
  if (pid === 0 && onlyReads && isInOwnView(image)) return null;
  // 0: the lock is of an open file description, or of a process in another pid namespace.
  if (pid === 0)
    return {
      kind: 'lock',
      onlyReads,
      name: 'unknown',
      description: 'is locked by a process that the kernel does not name',
    };
  const name = await processName(pid);
  return { kind: 'lock', pid, onlyReads, name, description: `is locked by ${name} (process ${pid})` };
}

/**
 * QEMU locks single bytes, all for reading, so that programs with the same wish do not exclude each other: that at 100 plus the bit of each
 * permission that it uses (QEMU, block/file-posix.c, include/block/block-common.h).
 */
const qemuWriting = [101, 103] as const;

function askForLock(path: string): { pid: number; onlyReads: boolean } | null {
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const pid = lockHolderPid(fd);
      if (pid === null) return null;
      const isLocked = (offset: number) => lockHolderPid(fd, { offset, length: 1 }) !== null;
      const onlyReads = lockHolderPid(fd, { ifForWriting: true }) === null && !qemuWriting.some(isLocked);
      return { pid, onlyReads };
    } finally {
      closeSync(fd);
    }
  } catch {
    return null;
  }
}

async function findProcesses(image: BigIntStats): Promise<ImageUser[]> {
  const users: ImageUser[] = [];
  for (const entry of await namesIn('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid || companionPids().has(pid)) continue;
    const open = await howOpen(pid, image);
    if (open === null) continue;
    const name = await processName(pid);
    const onlyReads = open === 'to-read';
    users.push({ kind: 'process', pid, name, onlyReads, description: `is open in ${name} (process ${pid})` });
  }
  return users;
}

async function findLoopDevices(image: BigIntStats): Promise<ImageUser[]> {
  const users: ImageUser[] = [];
  for (const device of await namesIn('/sys/block')) {
    if (!device.startsWith('loop')) continue;
    const backing = (await textOrEmpty(`/sys/block/${device}/loop/backing_file`)).replace(/\n$/, '');
    if (backing === '') continue;
    const backed = await statOrNull(backing);
    if (backed === null || !isSameFile(image, backed)) continue;
    users.push({
      kind: 'loop-device',
      name: `/dev/${device}`,
      description: `is attached as /dev/${device} (losetup -d detaches it)`,
    });
  }
  return users;
}

/** `major:minor` as sysfs and mountinfo write it (makedev(3)). */
function deviceNumber(rdev: bigint): string {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & ~0xffn);
  return `${major}:${minor}`;
}

/** The sysfs directories of the device and of its partitions, by device number. */
async function deviceDirectories(rdev: bigint): Promise<Map<string, string>> {
  const number = deviceNumber(rdev);
  const directory = `/sys/dev/block/${number}`;
  const found = new Map([[number, directory]]);
  for (const name of await namesIn(directory)) {
    if ((await textOrEmpty(`${directory}/${name}/partition`)) === '') continue;
    found.set((await textOrEmpty(`${directory}/${name}/dev`)).trim(), `${directory}/${name}`);
  }
  return found;
}

async function findMounts(image: BigIntStats): Promise<ImageUser[]> {
  const devices = await deviceDirectories(image.rdev);
  const users: ImageUser[] = [];
  for (const line of (await textOrEmpty('/proc/self/mountinfo')).split('\n')) {
    const [, , number = '', , point = ''] = line.split(' ');
    if (!devices.has(number)) continue;
    const name = point.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
      String.fromCharCode(parseInt(octal, 8)),
    );
    users.push({ kind: 'mount', name, description: `is mounted at ${name}` });
  }
  return users;
}

/** Devices that this one is part of: logical volumes, RAID arrays, encrypted devices. */
async function findHolders(image: BigIntStats): Promise<ImageUser[]> {
  const users: ImageUser[] = [];
  for (const directory of (await deviceDirectories(image.rdev)).values()) {
    for (const holder of await namesIn(`${directory}/holders`))
      users.push({ kind: 'holder', name: `/dev/${holder}`, description: `is part of /dev/${holder}` });
  }
  return users;
}

/** Opening a block device with O_EXCL fails while the kernel has claimed it (open(2)), and changes nothing. */
function isClaimed(path: string): boolean {
  try {
    closeSync(openSync(path, constants.O_RDONLY | constants.O_EXCL));
    return false;
  } catch (error) {
    return errorCode(error) === 'EBUSY';
  }
}
