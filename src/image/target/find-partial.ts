import { lstat } from 'node:fs/promises';
import { errorCode } from '../../system/error-code.ts';
import { isSameClaim, readClaim, type PartialClaim } from './partial-claim.ts';
import type { TargetPlace } from './place.ts';
import { partialPath } from './target-path.ts';
import { requireOwnFile } from './trusted-partial.ts';

/**
 * The incomplete file that an earlier process with the same claim has left at `PATH.partial`; null if there is none, and `foreign` if it
 * belongs to something else. Throws Failure `target-exists` if others may write to it.
 */
export async function findPartial(
  path: string,
  sizeBytes: number,
  claim: PartialClaim,
): Promise<TargetPlace | 'foreign' | null> {
  const partial = partialPath(path);
  const there = await lstat(partial).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  });
  if (there === null) return null;
  await requireOwnFile(there, partial);
  if (!isSameClaim(await readClaim(path), claim)) return 'foreign';
  const identity = { dev: BigInt(there.dev), ino: BigInt(there.ino) };
  return { kind: 'partial-file', path, sizeBytes, allocatedBytes: Number(there.blocks) * 512, identity };
}
