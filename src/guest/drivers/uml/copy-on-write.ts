import { closeSync, readdirSync, statSync, type Stats } from 'node:fs';
import { resolve } from 'node:path';
import { Failure } from '../../../failure.ts';
import { isUmlCow, readUmlCow } from '../../../image/formats/containers/uml-cow.ts';
import { headerFile } from '../../../image/formats/view/backing-chain.ts';
import { openImageFile } from '../../../image/source/image-file.ts';
import type { DiskDefinition, GuestDefinition } from '../../definition.ts';

export interface DetectedDisks {
  definition: GuestDefinition;
  /** Why the guest cannot be moved; null when it can. */
  unsupported: Failure | null;
}

/**
 * Finds the disks that the kernel takes for copy-on-write files without being told: those that begin like one and lack the flag
 * `d`. The guest of a raw image can write such a header itself, with any file of the host as its backing file. It
 * counts only if the kernel has that file open.
 * @param pid the kernel's process
 */
export function detectCopyOnWrite(
  definition: GuestDefinition,
  { pid, workingDirectory }: { pid: number; workingDirectory: string },
): DetectedDisks {
  let unsupported: Failure | null = null;
  const disks = definition.disks.map((disk): DiskDefinition => {
    if (disk.backing !== undefined || disk.flags?.includes('d')) return disk;
    const header = orNull(() => readHeader(disk.path));
    if (header === null) return disk;
    const isUsed = header.backing === null || hasOpen(pid, resolve(workingDirectory, header.backing));
    if (!isUsed) unsupported ??= unproven(definition.name, disk);
    return { ...disk, format: 'cow' };
  });
  return { definition: { ...definition, disks }, unsupported };
}

/** The backing file that a copy-on-write file names; null for one of an old version, which is never read. Null for any other file. */
function readHeader(path: string): { backing: string | null } | null {
  const file = openImageFile(path);
  try {
    const header = headerFile(file);
    if (!isUmlCow(header)) return null;
    return { backing: orNull(() => readUmlCow(header).backing?.name ?? null) };
  } finally {
    closeSync(file.fd);
  }
}

function hasOpen(pid: number, path: string): boolean {
  const file = statOrNull(path);
  if (file === null) return false;
  const descriptors = orNull(() => readdirSync(`/proc/${pid}/fd`)) ?? [];
  return descriptors.some((descriptor) => {
    const opened = statOrNull(`/proc/${pid}/fd/${descriptor}`);
    return opened !== null && opened.dev === file.dev && opened.ino === file.ino;
  });
}

function statOrNull(path: string): Stats | null {
  return orNull(() => statSync(path));
}

function orNull<Result>(work: () => Result): Result | null {
  try {
    return work();
  } catch {
    return null;
  }
}

function unproven(name: string, { device, path }: DiskDefinition): Failure {
  return new Failure(
    'guest-unsupported',
    `The disk ${device} of ${name} begins like a copy-on-write file, but its kernel does not have the backing file open: ${path}.`,
    {
      advice: `If it is one, start the guest with both files: ${device}=${path},BACKING. If the guest itself wrote that header, start it with ${device}d=${path}: else its kernel will take the disk for one at its next start.`,
    },
  );
}
