import { constants, type BigIntStats } from 'node:fs';
import { access, open, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Failure } from '../../failure.ts';
import { formatBytes } from '../../figures.ts';
import { errorCode, errorMessage } from '../../system/error-code.ts';
import { blockDeviceSizeBytes } from '../../system/native.ts';
import { findPartial } from './find-partial.ts';
import { newFilePlace, type TargetPlace } from './place.ts';
import type { PartialClaim } from './partial-claim.ts';
import { isFileNameShort, partialPath } from './target-path.ts';
import { refuseUsed } from '../usage/refuse-used.ts';

const END_IT_FIRST = 'End that use first: two writers destroy a disk.';

export interface PlaceRequest {
  path: string;
  /** Of the image. */
  sizeBytes: number;
  claim: PartialClaim;
  /** Whether what is there may be overwritten. */
  inPlace: boolean;
}

/**
 * Looks at a place for an image. Throws Failure `target-exists`, `target-missing`, `target-not-writable`, `target-full`
 * (a device that is too small) or `image-in-use`.
 */
export async function findTargetPlace(request: PlaceRequest): Promise<TargetPlace> {
  const { path, inPlace } = request;
  if (!isFileNameShort(path))
    throw new Failure(
      'target-not-writable',
      `The file name of ${path} is too long: a restore adds a suffix to it while it works.`,
      {
        advice: 'Restore that disk alone, under a shorter name: --disk NAME --to FILE.',
      },
    );
  const there = await statOrNull(path);
  if (there === null) return findNewPlace(request);
  const kind = there.isFile() ? 'file' : there.isBlockDevice() ? 'block-device' : null;
  if (kind === null)
    throw new Failure('target-not-writable', `${path} is neither a file nor a block device.`, {
      advice: 'Name the file, the partition or the logical volume to restore onto.',
    });
  if (!inPlace) throw wouldOverwrite(path, kind);
  await refuseUsed(path, END_IT_FIRST);
  await requireWritable(path);
  if (kind === 'file') {
    const sizeBytes = Number(there.size);
    return { kind, path, sizeBytes, allocatedBytes: Number(there.blocks) * 512, identity: there };
  }
  const deviceBytes = await deviceSizeBytes(path);
  if (deviceBytes < request.sizeBytes)
    throw new Failure(
      'target-full',
      `${path} has ${deviceBytes} bytes, and the image needs ${request.sizeBytes}.`,
      { advice: 'Name a larger device, or a file.' },
    );
  return { kind, path, sizeBytes: deviceBytes, allocatedBytes: deviceBytes, identity: there };
}

async function findNewPlace({ path, sizeBytes, claim }: PlaceRequest): Promise<TargetPlace> {
  await requireDirectory(dirname(path));
  const partial = partialPath(path);
  const found = await findPartial(path, sizeBytes, claim);
  if (found === null) return newFilePlace(path, sizeBytes);
  if (found === 'foreign')
    throw new Failure(
      'target-exists',
      `${partial} exists already, and does not belong to a restore of this disk and snapshot.`,
      {
        advice: 'Remove it if nothing writes it at this moment, or restore to another path.',
      },
    );
  await refuseUsed(partial, END_IT_FIRST);
  return found;
}

/** Throws Failure `target-full` if the file systems of the directories have too little room. */
export async function requireRoom(
  places: readonly { place: TargetPlace; neededBytes: number }[],
): Promise<void> {
  const neededBy = new Map<string, number>();
  for (const { place, neededBytes } of places) {
    if (place.kind === 'block-device') continue;
    const directory = dirname(place.path);
    const moreBytes = Math.max(0, neededBytes - place.allocatedBytes);
    neededBy.set(directory, (neededBy.get(directory) ?? 0) + moreBytes);
  }
  for (const [directory, neededBytes] of neededBy) {
    const { bavail, bsize } = await statfs(directory);
    if (bavail * bsize >= neededBytes) continue;
    throw new Failure(
      'target-full',
      `${directory} has ${formatBytes(bavail * bsize)} free, and ${formatBytes(neededBytes)} may be needed.`,
      { advice: 'Make room there, or restore to another path.' },
    );
  }
}

function wouldOverwrite(path: string, kind: 'file' | 'block-device'): Failure {
  const message =
    kind === 'file'
      ? `${path} exists already.`
      : `${path} is a block device: its content would be overwritten.`;
  return new Failure('target-exists', message, {
    advice: 'Add --in-place to overwrite it: only what differs is written.',
  });
}

async function requireDirectory(directory: string): Promise<void> {
  const there = await statOrNull(directory);
  if (there === null || !there.isDirectory())
    throw new Failure('target-missing', `There is no directory ${directory}.`, {
      advice: `Make it (mkdir -p ${directory}), or restore to another path.`,
    });
  await requireAccess(directory, constants.W_OK | constants.X_OK);
}

async function requireWritable(path: string): Promise<void> {
  await requireAccess(path, constants.R_OK | constants.W_OK);
}

async function requireAccess(path: string, mode: number): Promise<void> {
  try {
    await access(path, mode);
  } catch (cause) {
    throw new Failure('target-not-writable', `${path} cannot be written to: ${errorMessage(cause)}.`, {
      advice: 'Run vmferry as a user who may write there, or restore to another path.',
      cause,
    });
  }
}

async function deviceSizeBytes(path: string): Promise<number> {
  const device = await open(path, 'r');
  try {
    return blockDeviceSizeBytes(device.fd);
  } finally {
    await device.close();
  }
}

async function statOrNull(path: string): Promise<BigIntStats | null> {
  try {
    return await stat(path, { bigint: true });
  } catch (cause) {
    const code = errorCode(cause);
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw new Failure('target-not-writable', `${path} cannot be examined: ${errorMessage(cause)}.`, {
      cause,
    });
  }
}
