import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { Failure } from '../../failure.ts';
import { command, here, placed } from '../../placed-text.ts';
import { errorMessage } from '../../system/error-code.ts';
import { contentNames } from '../content-names.ts';
import { openImage } from '../open-image.ts';
import { findUse } from '../usage/refuse-used.ts';
import type { TargetPlace } from './place.ts';

/** A block device that an image is to be written to, as it was found; nothing was changed. */
export interface TargetDevice {
  place: TargetPlace;
  /** What its content looks like; empty if nothing was recognised. */
  holds: readonly string[];
}

/** Null if the path does not lead to a block device. */
export async function findTargetDevice(path: string): Promise<TargetDevice | null> {
  const there = await stat(path, { bigint: true }).catch(() => null);
  if (there === null || !there.isBlockDevice()) return null;
  // Its present content is only looked at, whatever format it may have.
  await using image = await openImage(path);
  const { sizeBytes } = image;
  const identity = { dev: there.dev, ino: there.ino };
  const place = { kind: 'block-device', path, sizeBytes, allocatedBytes: sizeBytes, identity } as const;
  return { place, holds: contentNames(image) };
}

/**
 * Everything that keeps an image from being written to the device: it cannot be written to, is in use, is too small, or
 * holds something.
 * @param mayOverwrite whether what it holds may be lost
 */
export async function findDeviceProblems(
  { place: { path, sizeBytes }, holds }: TargetDevice,
  imageBytes: number,
  mayOverwrite: boolean,
): Promise<Failure[]> {
  const problems: Failure[] = [];
  try {
    await access(path, constants.R_OK | constants.W_OK);
  } catch (cause) {
    problems.push(
      new Failure(
        'target-not-writable',
        placed`${path} ${here} cannot be written to: ${errorMessage(cause)}.`,
        {
          advice: 'Log in there as a user who may write to it.',
          cause,
        },
      ),
    );
  }
  const use = await findUse(path, 'End that use first, or name another device: two writers destroy a disk.');
  if (use !== null) problems.push(use);
  if (sizeBytes < imageBytes)
    problems.push(
      new Failure(
        'target-full',
        placed`${path} ${here} has ${sizeBytes} bytes, and the image needs ${imageBytes}.`,
        { advice: 'Name a larger device, or a file.' },
      ),
    );
  if (holds.length > 0 && !mayOverwrite)
    problems.push(
      new Failure('target-exists', placed`${path} ${here} holds ${holds.join(', ')}.`, {
        advice: placed`Look at it (${command('blkid', '-p', path)}). If nothing of it is needed, add --overwrite: its content is then lost for good.`,
      }),
    );
  return problems;
}
