import { open, stat, type FileHandle } from 'node:fs/promises';
import { Failure } from '../failure.ts';

/** Stands in every such kernel: what `linux --help` begins with (usage_string in arch/um/kernel/um_arch.c). */
const mark = Buffer.from('User Mode Linux v%s');
const elfMagic = Buffer.from('\x7FELF', 'latin1');
const READ_BYTES = 2 ** 20;
/** More than any kernel; a device has no end. */
const LIMIT_BYTES = 2 ** 30;

/**
 * Why a file is not for certain a User Mode Linux kernel, put there by root or this account; null when it is. Nothing is
 * started: this is asked before what a stranger names as a kernel is tried.
 */
export async function refuseStrangeKernel(path: string): Promise<Failure | null> {
  const { uid, mode } = await stat(path);
  const isOurs = uid === 0 || uid === process.getuid?.();
  if (!isOurs || (mode & 0o022) !== 0)
    return strange(path, 'others than root and this account could have written it');
  return (await isUmlKernel(path)) ? null : strange(path, 'it is no User Mode Linux kernel');
}

async function isUmlKernel(path: string): Promise<boolean> {
  const file = await open(path, 'r');
  try {
    const start = await bytesAt(file, 0, elfMagic.length);
    return start.equals(elfMagic) && (await holdsMark(file));
  } finally {
    await file.close();
  }
}

async function holdsMark(file: FileHandle): Promise<boolean> {
  for (let offset = 0; offset < LIMIT_BYTES; offset += READ_BYTES) {
    // It may begin in one piece and end in the next.
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
    `The snapshot names ${path} as the kernel, and is from a store that is not encrypted, which others may have written to: it is not started, for ${why}.`,
    {
      advice:
        'Install that kernel; a script that starts one is taken when a running guest has it. Or restore the disks, and start the guest by hand.',
    },
  );
}
