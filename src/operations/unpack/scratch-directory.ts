import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../../failure.ts';
import { requireDirectory } from '../../image/target/target-path.ts';
import { errorMessage } from '../../system/error-code.ts';

export interface ScratchDirectory extends AsyncDisposable {
  path: string;
}

const ADVICE =
  'Name a directory that you may write to, with room for the unpacked disks: --scratch DIRECTORY';

/** A new directory that only its owner can enter. Disposing removes it with everything in it. Throws Failure `target-missing` or `target-not-writable`. */
export async function scratchDirectory(parent: string): Promise<ScratchDirectory> {
  await requireDirectory(parent);
  const path = await mkdtemp(join(parent, '.vmferry-unpacked-')).catch((cause: unknown) => {
    throw new Failure(
      'target-not-writable',
      `Nothing can be unpacked to ${parent}: ${errorMessage(cause)}.`,
      { advice: ADVICE, cause },
    );
  });
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A lack of room, explained for a scratch directory. */
export function scratchFull(failure: Failure): Failure {
  if (failure.code !== 'target-full') return failure;
  return new Failure('target-full', `The archive is unpacked first. ${failure.message}`, {
    advice: 'Make room there, or name a directory that has room: --scratch DIRECTORY',
    cause: failure,
  });
}
