import koffi from 'koffi';

/**
 * The few Linux system calls that Node does not offer. All are synchronous and quick (no data moves).
 * Constants: linux/fs.h (BLKGETSIZE64), unistd.h (SEEK_DATA, SEEK_HOLE), fcntl.h (F_GETLK, F_WRLCK,
 * POSIX_FADV_DONTNEED).
 */
const libc = koffi.load(null);
const lseek = libc.func('int64_t lseek(int fd, int64_t offset, int whence)');
const ioctl = libc.func('int ioctl(int fd, unsigned long request, ...)');
const fcntl = libc.func('int fcntl(int fd, int command, ...)');
const posixFadvise = libc.func('int posix_fadvise(int fd, int64_t offset, int64_t length, int advice)');

const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const BLKGETSIZE64 = 0x80081272;
const F_GETLK = 5;
const F_WRLCK = 1;
const F_UNLCK = 2;
const POSIX_FADV_DONTNEED = 4;
/** `struct flock` of 64-bit Linux: l_type and l_whence (2 bytes each), l_start, l_len (8 each), l_pid (4). */
const FLOCK_BYTES = 32;
const FLOCK_PID_OFFSET = 24;

/** A system call's refusal; `code` is the errno's name, as in Node's own errors. */
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

/** The first offset at or after `offset` that holds data; null where only a hole follows. */
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

/**
 * Who holds a lock on any part of the file (POSIX or open-file-description; `flock` locks are not seen): the pid,
 * 0 where the kernel does not tell it, null where nobody does. Asking takes no lock. Beware: closing *any*
 * descriptor of a file drops this process's own POSIX locks on it (fcntl(2)).
 */
export function lockHolderPid(fd: number): number | null {
  const flock = Buffer.alloc(FLOCK_BYTES);
  flock.writeInt16LE(F_WRLCK, 0);
  if (fcntl(fd, F_GETLK, 'void *', flock) !== 0) throw new SystemCallError('fcntl F_GETLK', koffi.errno());
  if (flock.readInt16LE(0) === F_UNLCK) return null;
  return Math.max(0, flock.readInt32LE(FLOCK_PID_OFFSET));
}

/** Drops the range from the page cache; pages that are not yet on the disk stay (call fsync before). */
export function dropPageCache(fd: number, offset: number, length: number): void {
  const errno = Number(posixFadvise(fd, offset, length, POSIX_FADV_DONTNEED));
  if (errno !== 0) throw new SystemCallError('posix_fadvise', errno);
}
