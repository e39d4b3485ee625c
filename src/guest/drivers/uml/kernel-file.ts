import { constants } from 'node:fs';
import { open, realpath, stat, type FileHandle } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { Failure } from '../../../failure.ts';
import { canOthersReplaceIn, isOwnOrRoots, isWritableByOthers } from '../../../system/file-rights.ts';

/** Every such kernel contains it: `linux --help` begins with it (usage_string in arch/um/kernel/um_arch.c). */
const mark = Buffer.from('User Mode Linux v%s');
const elfMagic = Buffer.from('\x7FELF', 'latin1');
const READ_BYTES = 2 ** 20;
/** No kernel is longer, and a device may have no end. */
const LIMIT_BYTES = 2 ** 30;

/**
 * Null if the file is certainly a User Mode Linux kernel that root or this account has put there; else why not. Called
 * before a kernel that an untrusted definition names is started, even as a test. The kernel is started later by its path, so
 * no other account may be able to replace the file or any directory on the way to it.
 */
export async function refuseStrangeKernel(path: string): Promise<Failure | null> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = await file.stat();
    if (!stats.isFile()) return strange(path, 'it is not a regular file');
    const isOthers = !isOwnOrRoots(stats) || isWritableByOthers(stats);
    if (isOthers || !(await areDirectoriesOurs(path)))
      return strange(path, 'accounts other than root and this one could have written it');
    return (await isUmlKernel(file)) ? null : strange(path, 'it is not a User Mode Linux kernel');
  } finally {
    await file.close();
  }
}

/** Checks the directories of the path as given, and of the path with links resolved. */
async function areDirectoriesOurs(path: string): Promise<boolean> {
  for (const start of [resolve(path), await realpath(path)])
    for (let directory = dirname(start); ; directory = dirname(directory)) {
      const stats = await stat(directory);
      if (!isOwnOrRoots(stats) || canOthersReplaceIn(stats)) return false;
      if (directory === dirname(directory)) break;
    }
  return true;
}

async function isUmlKernel(file: FileHandle): Promise<boolean> {
  const start = await bytesAt(file, 0, elfMagic.length);
  return start.equals(elfMagic) && (await holdsMark(file));
}

async function holdsMark(file: FileHandle): Promise<boolean> {
  for (let offset = 0; offset < LIMIT_BYTES; offset += READ_BYTES) {
    // Pieces overlap, because the mark may begin in one piece and end in the next.
    const piece = await bytesAt(file, offset, READ_BYTES + mark.length - 1);
    if (piece.includes(mark)) return true;
    if (piece.length < READ_BYTES) return false;
  }
  return false;
}

async function bytesAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
  return buffer.subarray(0, bytesRead);
}

function strange(path: string, why: string): Failure {
  return new Failure(
    'hypervisor-missing',
    `The guest's definition comes from an archive, or from a store that is not encrypted, so anybody may have written it. It names ${path} as the kernel, which is not started: ${why}.`,
    {
      advice:
        'Install that kernel. A script that starts a kernel is accepted if a known guest runs with it. Or restore or import the disks, and start the guest by hand.',
    },
  );
}
