import { writeFile } from 'node:fs/promises';
import { Failure } from '../../failure.ts';
import type { Snapshot } from '../../repository/snapshot.ts';
import { missingText } from './byte-ranges.ts';
import type { DiskRestore } from './disk-restore.ts';

/** The most ranges in a message; the `.missing` file has all. */
const MOST_RANGES_TOLD = 100;

/** Names what the store has lost of a snapshot, before any image gets its name; null if nothing is lost. */
export function missingFailure(snapshot: Snapshot, restores: readonly DiskRestore[]): Failure | null {
  const missing = missingTexts(restores);
  if (missing === '') return null;
  return new Failure(
    'store-damaged',
    `The store has lost a part of the snapshot ${snapshot.id} of ${snapshot.guest}: ${missing}.`,
    {
      advice:
        'Restore another snapshot, or add --allow-missing to restore the rest of this one. The next backup sends the lost data again.',
    },
  );
}

/**
 * Names what is missing in images that got their names despite the loss; null if nothing is missing.
 * @param lists the files that list all of it
 */
export function incompleteFailure(
  snapshot: Snapshot,
  restores: readonly DiskRestore[],
  lists: readonly string[],
): Failure | null {
  const missing = missingTexts(restores);
  if (missing === '') return null;
  return new Failure(
    'store-damaged',
    `${snapshot.guest} is restored, but NOT complete. The store has lost these bytes, and they read as zero: ${missing}.`,
    {
      advice: `${lists.length === 0 ? '' : `All ranges: ${lists.join(', ')}. `}Check the file systems before anything uses them.`,
    },
  );
}

function missingTexts(restores: readonly DiskRestore[]): string {
  return restores
    .filter(({ missingRanges }) => missingRanges.length > 0)
    .map(({ disk, missingRanges }) => missingText(disk.name, disk.sizeBytes, missingRanges, MOST_RANGES_TOLD))
    .join('; ');
}

/** Writes the list beside an incomplete image. Returns its path; null for a device. */
export async function writeMissingList(
  snapshot: Snapshot,
  { disk, target, missingRanges }: DiskRestore,
): Promise<string | null> {
  if (target.kind === 'block-device') return null;
  const path = `${target.path}.missing`;
  const lines = [
    `# What is missing in ${target.path}, the disk ${disk.name} of ${snapshot.guest}, snapshot ${snapshot.id}.`,
    '# It reads as zero. First byte and number of bytes:',
    ...missingRanges.map(({ offset, length }) => `${offset} ${length}`),
  ];
  await writeFile(path, `${lines.join('\n')}\n`);
  return path;
}
