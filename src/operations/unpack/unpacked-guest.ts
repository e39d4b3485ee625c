import { basename, dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { formatTimeWithZone } from '../../figures.ts';
import { newFilePlace } from '../../image/target/place.ts';
import { requireRoom } from '../../image/target/target-place.ts';
import type { Machine } from '../../system/machine.ts';
import type { FilterDependencies } from './filters.ts';
import { guestInFile, type ArchiveHome, type GuestInFile } from './guest-in-file.ts';
import { inputText, openInput, type FileDependencies, type InputSource, type UnpackInput } from './input.ts';
import { scratchDirectory, scratchFull } from './scratch-directory.ts';
import { UNNAMED, unpackFile } from './unpack-file.ts';

/** Disposing of it removes the unpacked disks. */
export interface UnpackedGuest extends GuestInFile, AsyncDisposable {}

export type UnpackDependencies = FilterDependencies & FileDependencies;

/**
 * Unpacks the guest in an archive, or a compressed image, to sparse images in a scratch directory, and reads them back. Nothing is left there
 * after a failure. Throws what `openInput`, `unpackFile`, `scratchDirectory` and `guestInFile` throw, and Failure `usage`.
 * @param scratch null: beside the file
 * @param machine this one
 */
export async function unpackGuest(
  source: InputSource,
  scratch: string | null,
  machine: Machine,
  dependencies: UnpackDependencies,
  context: Context,
): Promise<UnpackedGuest> {
  const parent = scratch ?? directoryBeside(source);
  const directory = await scratchDirectory(parent);
  try {
    const unpacked = await unpackFile(
      { to: `${directory.path}/`, overwrite: false },
      async (onRead) => {
        const input = await openInput(source, dependencies, onRead, context);
        return withRoomAtLeast(input, directory.path);
      },
      () => Promise.resolve(),
      dependencies,
      context,
    );
    const guest = guestInFile(unpacked, homeOf(source, parent, machine));
    tellOrigin(inputText(source), guest, context);
    return { ...guest, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() };
  } catch (error) {
    await directory[Symbol.asyncDispose]();
    throw error instanceof Failure ? scratchFull(error) : error;
  }
}

/** Throws Failure `usage`. */
function directoryBeside(source: InputSource): string {
  if (!(source instanceof Readable) && source.host === null) return dirname(source.path);
  throw new Failure(
    'usage',
    `${inputText(source)} is not a file of this machine, so nothing can be unpacked beside it.`,
    { advice: 'Name a directory with room for the unpacked disks: --scratch DIRECTORY' },
  );
}

/** An image from standard input has no place of its own: it counts as being where it is unpacked. */
function homeOf(source: InputSource, scratch: string, machine: Machine): ArchiveHome {
  const text = inputText(source);
  if (source instanceof Readable) return { text, name: UNNAMED, directory: scratch, machine };
  const { path, host } = source;
  const name = basename(path);
  if (host === null) return { text, name, directory: dirname(path), machine };
  // Where logins begin is not known, and the path of a disk is absolute.
  const directory = dirname(path.startsWith('/') ? path : `/~/${path}`);
  const there = { host: host.destination.replace(/^.*@/, ''), id: null };
  return { text, name, directory, machine: there };
}

/** What is compressed takes at least as much room when it is unpacked. An archive's manifest says more. */
async function withRoomAtLeast(input: UnpackInput, directory: string): Promise<UnpackInput> {
  const { sizeBytes } = input;
  if (sizeBytes === null) return input;
  try {
    await requireRoom([{ place: newFilePlace(join(directory, 'disk'), sizeBytes), neededBytes: sizeBytes }]);
    return input;
  } catch (error) {
    await input[Symbol.asyncDispose]();
    throw error;
  }
}

function tellOrigin(
  text: string,
  { archived: { definition, machine, state } }: GuestInFile,
  context: Context,
) {
  if (state === null) return;
  const { name } = definition;
  const made = formatTimeWithZone(state.createdAt.toISOString());
  context.report({
    type: 'notice',
    message: `${text} holds ${name} of ${machine.host}, as it was at ${made}.`,
  });
}
