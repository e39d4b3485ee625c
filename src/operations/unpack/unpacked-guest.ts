import { stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { formatTimeWithZone } from '../../figures.ts';
import { newFilePlace } from '../../image/target/place.ts';
import { requireRoom } from '../../image/target/target-place.ts';
import type { Machine } from '../../system/machine.ts';
import type { FilterDependencies } from './filters.ts';
import { guestInFile, type GuestInFile } from './guest-in-file.ts';
import { openInputFile } from './input.ts';
import { scratchDirectory, scratchFull } from './scratch-directory.ts';
import { unpackFile } from './unpack-file.ts';

/** Disposing of it removes the unpacked disks. */
export interface UnpackedGuest extends GuestInFile, AsyncDisposable {}

/**
 * Unpacks the guest in an archive, or a compressed image, to sparse images in a scratch directory, and reads them back. Nothing is left there
 * after a failure. Throws what `unpackFile`, `scratchDirectory` and `guestInFile` throw.
 * @param scratch null: beside the file
 * @param machine this one
 */
export async function unpackGuest(
  file: string,
  scratch: string | null,
  machine: Machine,
  dependencies: FilterDependencies,
  context: Context,
): Promise<UnpackedGuest> {
  const path = resolve(file);
  const directory = await scratchDirectory(scratch ?? dirname(path));
  try {
    await requireRoomAtLeast(directory.path, (await stat(path)).size);
    const unpacked = await unpackFile(
      { to: `${directory.path}/`, overwrite: false },
      (onRead) => openInputFile(path, context.signal, onRead),
      () => Promise.resolve(),
      dependencies,
      context,
    );
    const guest = guestInFile(unpacked, path, machine);
    tellOrigin(path, guest, context);
    return { ...guest, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() };
  } catch (error) {
    await directory[Symbol.asyncDispose]();
    throw error instanceof Failure ? scratchFull(error) : error;
  }
}

/** What is compressed takes at least as much room when it is unpacked. An archive's manifest says more. */
async function requireRoomAtLeast(directory: string, sizeBytes: number): Promise<void> {
  await requireRoom([{ place: newFilePlace(join(directory, 'disk'), sizeBytes), neededBytes: sizeBytes }]);
}

function tellOrigin(
  path: string,
  { archived: { definition, machine, state } }: GuestInFile,
  context: Context,
) {
  if (state === null) return;
  const { name } = definition;
  const made = formatTimeWithZone(state.createdAt.toISOString());
  context.report({
    type: 'notice',
    message: `${path} holds ${name} of ${machine.host}, as it was at ${made}.`,
  });
}
