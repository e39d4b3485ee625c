import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { chunkGridFor } from '../../../src/chunk/chunk-grid.ts';
import { compressText } from '../../../src/codec/compressed-text.ts';
import { noSeal } from '../../../src/seal/seal-for.ts';
import { pageCount, POSITIONS_PER_PAGE } from '../../../src/repository/chunk-index/chunk-map-page.ts';
import type { GuestFolder } from '../../../src/repository/guest-folder.ts';
import type { Snapshot } from '../../../src/repository/snapshot.ts';
import { publishSnapshot } from './publish-snapshot.ts';

const { signal } = new AbortController();
/** The smallest image whose chunk map has the largest possible number of positions. */
const IMAGE_BYTES = 2 ** 36;

/**
 * Small index files with correct names that unpack to a lot: each has millions of empty frames of an existing pack.
 */
export function storeSwellingIndexes(
  storePath: string,
  folder: GuestFolder,
  pack: { id: string; sizeBytes: number },
  { files, textBytes }: { files: number; textBytes: number },
): void {
  for (let number = 0; number < files; number++) {
    const line = `frame ${1000 + number} 1\n`;
    const text = `vmferry-index 1\npack ${pack.id} ${pack.sizeBytes}\n${line.repeat(textBytes / line.length)}`;
    const path = join(storePath, folder.nameOf('index', noSeal.nameOf(Buffer.from(text))));
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, compressText(text));
  }
}

/** A snapshot of many disks that share all pages of their maps. The store lacks every second chunk. */
export async function storeManyDisks(
  folder: GuestFolder,
  like: Snapshot,
  diskCount: number,
): Promise<Snapshot> {
  const grid = chunkGridFor(IMAGE_BYTES);
  const fingerprint = createHash('sha256');
  fingerprint.update(`vmferry-chunk-map 1\nimage-bytes ${IMAGE_BYTES}\nchunk-bytes ${grid.chunkBytes}\n`);
  const pages: string[] = [];
  for (let page = 0; page < pageCount(grid); page++) {
    let text = '';
    for (let position = 0; position < POSITIONS_PER_PAGE; position += 2)
      text += `${page * POSITIONS_PER_PAGE + position} ${'ab'.repeat(32)}\n`;
    fingerprint.update(text);
    pages.push((await folder.writePage(text, new Map(), signal)).id);
  }
  const digest = `sha256:${fingerprint.digest('hex')}`;
  const [disk] = like.disks;
  if (disk === undefined) throw new Error('a snapshot without disks');
  const { chunkBytes } = grid;
  const disks = Array.from({ length: diskCount }, (_, number) => ({
    ...disk,
    name: `disk${number}.img`,
    sizeBytes: IMAGE_BYTES,
    chunkBytes,
    fingerprint: digest,
    pages,
  }));
  const snapshot = {
    ...like,
    id: like.id.replace(/....$/, 'ffff'),
    definition: {
      ...like.definition,
      disks: disks.map(({ name }, slot) => ({
        device: `disk${slot}`,
        path: `/srv/guests/${name}`,
        readOnly: false,
      })),
    },
    disks,
  };
  await publishSnapshot(folder, snapshot, signal);
  return snapshot;
}
