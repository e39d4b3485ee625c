import koffi from 'koffi';

/**
 * Linux system calls that Node lacks. All are synchronous and quick (no data moves).
 * Constants: linux/fs.h (BLKGETSIZE64, FICLONERANGE, FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_NOCOW_FL), unistd.h
 * (SEEK_DATA, SEEK_HOLE), fcntl.h (F_GETLK, F_OFD_SETLK, F_RDLCK, F_WRLCK, POSIX_FADV_DONTNEED), linux/ioprio.h, asm/unistd.h
 * (ioprio_set, which glibc does not wrap).
 */
const libc = koffi.load(null);
const lseek = libc.func('int64_t lseek(int fd, int64_t offset, int whence)');
const ioctl = libc.func('int ioctl(int fd, unsigned long request, ...)');
const fcntl = libc.func('int fcntl(int fd, int command, ...)');
const posixFadvise = libc.func('int posix_fadvise(int fd, int64_t offset, int64_t length, int advice)');
const fallocate = libc.func('int fallocate(int fd, int mode, int64_t offset, int64_t length)');
const syscall = libc.func('long syscall(long number, int which, int who, int priority)');

const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const BLKGETSIZE64 = 0x80081272;
const FICLONERANGE = 0x4020940d;
const FS_IOC_GETFLAGS = 0x80086601;
const FS_IOC_SETFLAGS = 0x40086602;
const FS_NOCOW_FL = 0x00800000;
const F_GETLK = 5;
const F_OFD_SETLK = 37;
const F_RDLCK = 0;
const F_WRLCK = 1;
const F_UNLCK = 2;
const POSIX_FADV_DONTNEED = 4;
const FALLOC_FL_KEEP_SIZE = 1;
const FALLOC_FL_PUNCH_HOLE = 2;
const SYS_IOPRIO_SET: Partial<Record<NodeJS.Architecture, number>> = { x64: 251, arm64: 30 };
const IOPRIO_WHO_PROCESS = 1;
const IOPRIO_CLASS_SHIFT = 13;
const IOPRIO_CLASS_NONE = 0;
const IOPRIO_CLASS_IDLE = 3;
/** The file system or device cannot punch holes, or not this one (on a device, less than a block). */
const cannotPunch = ['EOPNOTSUPP', 'ENOSYS', 'EINVAL'].map((name) => koffi.os.errno[name]);
/** `struct flock` of 64-bit Linux: l_type and l_whence (2 bytes each), l_start, l_len (8 each), l_pid (4). */
const FLOCK_BYTES = 32;
const FLOCK_PID_OFFSET = 24;

/** A failed system call; `code` is the errno's name, as in Node's own errors. */
export class SystemCallError extends Error {
  readonly code: string;
  constructor(call: string, errno: number) {
    const code = errnoName(errno);
    super(`${call}: ${code}`);
    this.name = 'SystemCallError';
    this.code = code;
  }
}

function errnoName(errno: number): string {
  for (const [name, value] of Object.entries(koffi.os.errno)) if (value === errno) return name;
  return `errno ${errno}`;
}

function seek(fd: number, offset: number, whence: number): number | null {
  const position = Number(lseek(fd, offset, whence));
  if (position >= 0) return position;
  const errno = koffi.errno();
  if (errno === koffi.os.errno['ENXIO']) return null;
  throw new SystemCallError('lseek', errno);
}

/** The first offset at or after `offset` that holds data; null when only a hole follows. */
export function seekData(fd: number, offset: number): number | null {
  return seek(fd, offset, SEEK_DATA);
}

/** The first offset at or after `offset` that lies in a hole (the end of the file counts as one). */
export function seekHole(fd: number, offset: number): number | null {
  return seek(fd, offset, SEEK_HOLE);
}

/** The size in bytes of the block device that is open as `fd`. */
export function blockDeviceSizeBytes(fd: number): number {
  const size = Buffer.alloc(8);
  if (ioctl(fd, BLKGETSIZE64, 'void *', size) !== 0)
    throw new SystemCallError('ioctl BLKGETSIZE64', koffi.errno());
  return Number(size.readBigUInt64LE());
}

/** Which locks of a file are meant; by default, those on any part of it. */
export interface LockProbe {
  offset?: number;
  /** 0: to the end of the file, and beyond. */
  length?: number;
  /** Only locks for writing, which exclude all others. */
  ifForWriting?: boolean;
}

/**
 * The pid of a process that holds a lock on the file; 0 when the kernel does not tell the pid, null without
 * a lock. Sees POSIX and open-file-description locks, but not those of `flock`. Takes no lock. Beware: closing *any*
 * descriptor of a file drops this process's own POSIX locks on it (fcntl(2)).
 */
export function lockHolderPid(
  fd: number,
  { offset = 0, length = 0, ifForWriting = false }: LockProbe = {},
): number | null {
  const flock = Buffer.alloc(FLOCK_BYTES);
  flock.writeInt16LE(ifForWriting ? F_RDLCK : F_WRLCK, 0);
  flock.writeBigInt64LE(BigInt(offset), 8);
  flock.writeBigInt64LE(BigInt(length), 16);
  if (fcntl(fd, F_GETLK, 'void *', flock) !== 0) throw new SystemCallError('fcntl F_GETLK', koffi.errno());
  if (flock.readInt16LE(0) === F_UNLCK) return null;
  return Math.max(0, flock.readInt32LE(FLOCK_PID_OFFSET));
}

/**
 * Locks the whole file until the descriptor is closed, or its process dies. False when another process has it locked.
 * `lockHolderPid` sees the lock (of an open file description, fcntl(2)).
 */
export function tryLock(fd: number): boolean {
  const flock = Buffer.alloc(FLOCK_BYTES);
  flock.writeInt16LE(F_WRLCK, 0);
  if (fcntl(fd, F_OFD_SETLK, 'void *', flock) === 0) return true;
  const errno = koffi.errno();
  if (errno === koffi.os.errno['EAGAIN'] || errno === koffi.os.errno['EACCES']) return false;
  throw new SystemCallError('fcntl F_OFD_SETLK', errno);
}

export interface CloneRange {
  sourceFd: number;
  sourceOffset: number;
  /** 0 means up to the end of the source. */
  length: number;
  targetFd: number;
  targetOffset: number;
}

/**
 * Makes the target's range share its blocks with the source's until either is written to (a reflink, ioctl_ficlonerange(2)). It is
 * atomic. Offsets and length must be multiples of the block size, unless the range ends at the end of the source.
 */
export function cloneRange({ sourceFd, sourceOffset, length, targetFd, targetOffset }: CloneRange): void {
  const range = Buffer.alloc(32);
  range.writeBigInt64LE(BigInt(sourceFd), 0);
  range.writeBigUInt64LE(BigInt(sourceOffset), 8);
  range.writeBigUInt64LE(BigInt(length), 16);
  range.writeBigUInt64LE(BigInt(targetOffset), 24);
  if (ioctl(targetFd, FICLONERANGE, 'void *', range) !== 0)
    throw new SystemCallError('ioctl FICLONERANGE', koffi.errno());
}

/**
 * Copies the attribute "no copy on write" (`chattr +C`) to an empty file, if the source has it: btrfs makes reflinks only between
 * files that both have it, or both lack it.
 */
export function copyNoCopyOnWrite(sourceFd: number, targetFd: number): void {
  if ((inodeFlags(sourceFd) & FS_NOCOW_FL) === 0) return;
  const flags = Buffer.alloc(8);
  flags.writeUInt32LE(inodeFlags(targetFd) | FS_NOCOW_FL);
  if (ioctl(targetFd, FS_IOC_SETFLAGS, 'void *', flags) !== 0)
    throw new SystemCallError('ioctl FS_IOC_SETFLAGS', koffi.errno());
}

/** 0 where the file system has no such flags. */
function inodeFlags(fd: number): number {
  const flags = Buffer.alloc(8);
  return ioctl(fd, FS_IOC_GETFLAGS, 'void *', flags) === 0 ? flags.readUInt32LE() : 0;
}

/** Drops the range from the page cache, except pages that are not yet on the disk: call fsync before. */
export function dropPageCache(fd: number, offset: number, length: number): void {
  const errno = Number(posixFadvise(fd, offset, length, POSIX_FADV_DONTNEED));
  if (errno !== 0) throw new SystemCallError('posix_fadvise', errno);
}

/**
 * Makes the range of a file or device read as zero, and frees its space. False where that is not supported: write zeros instead.
 */
export function punchHole(fd: number, offset: number, length: number): boolean {
  if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length) === 0) return true;
  const errno = koffi.errno();
  if (cannotPunch.includes(errno)) return false;
  throw new SystemCallError('fallocate', errno);
}

/**
 * Lets the disk serve everybody else before this thread (the class "idle"), or as usual again. Neither needs rights. Other threads
 * keep their class. A scheduler without classes (`none`) ignores it. Returns whether the kernel has taken it.
 */
export function yieldDisk(yields: boolean): boolean {
  const number = SYS_IOPRIO_SET[process.arch];
  if (number === undefined) return false;
  const priority = (yields ? IOPRIO_CLASS_IDLE : IOPRIO_CLASS_NONE) << IOPRIO_CLASS_SHIFT;
  return Number(syscall(number, IOPRIO_WHO_PROCESS, 0, priority)) === 0;
}
