import { writeFile } from 'node:fs/promises';
import { Failure } from '../../failure.ts';
import type { Snapshot } from '../../repository/snapshot.ts';
import { missingText } from './byte-ranges.ts';
import type { DiskRestore } from './disk-restore.ts';

/** So many are told one by one; the list of an incomplete image has all. */
const MOST_RANGES_TOLD = 100;

/** What the store has lost of a snapshot, before anything got its name; null when nothing. */
export function missingFailure(snapshot: Snapshot, restores: readonly DiskRestore[]): Failure | null {
  const missing = missingTexts(restores);
  if (missing === '') return null;
  return new Failure(
    'store-damaged',
    `The store has lost a part of the snapshot ${snapshot.id} of ${snapshot.guest}: ${missing}.`,
    {
      advice:
        'Restore another snapshot; or all the rest of this one, with --allow-missing. The next backup sends again what is lost.',
    },
  );
}

/**
 * What is missing in images that have got their names all the same; null when nothing.
 * @param lists where all of it is listed
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
    `${snapshot.guest} is restored, but NOT complete. The store has lost, and zeros stand for: ${missing}.`,
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

/** For programs and people: beside an image that is not complete. Answers with its path; null for a device. */
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
