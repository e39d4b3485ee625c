import type { Extent } from '../../../extent/extents.ts';
import { fieldsAt, type HeaderFile } from './header-file.ts';
import { incompatibleFeatures, VERSION_2_BYTES } from './qcow2.ts';

/* The tables of qcow2: QEMU, docs/interop/qcow2.txt, "Cluster mapping". */

const ENTRY_BYTES = 8;
/** Tables are read in parts, so that memory does not grow with them. */
const ENTRIES_AT_ONCE = 8192;

/** An incompatible feature: a cluster may be stored in part. */
const EXTENDED_L2 = 1n << 4n;

/** In the upper half of an entry. */
const COMPRESSED = 0x4000_0000;
const UPPER_OFFSET = 0x00ff_ffff;
/** In the lower half. */
const LOWER_OFFSET = 0xffff_fe00;
const READS_AS_ZERO = 1;

/** A range of the disk whose bytes lie in the image's own file as they are. */
export interface StoredRange extends Extent {
  fileOffset: number;
}

/**
 * Where the bytes of the disk in a qcow2 image lie in its file: sorted by their offset on the disk, disjoint. Compressed clusters, those
 * of a backing file, and those that read as zero are left out; with extended L2 entries, all are. Nothing may write to the image meanwhile.
 * Throws Failure `image-not-a-disk` for a table that is cut off.
 */
export function* storedRanges(file: HeaderFile): Generator<StoredRange> {
  const header = fieldsAt(file, 0, VERSION_2_BYTES);
  if ((incompatibleFeatures(file, header) & EXTENDED_L2) !== 0n) return;
  const clusterBytes = 2 ** header.u32(20, 'big');
  const sizeBytes = header.u64(24, 'big');
  const entriesOfTable = clusterBytes / ENTRY_BYTES;
  const tables = { at: header.u64(40, 'big'), count: header.u32(36, 'big') };
  let run: StoredRange | null = null;
  for (const table of entriesAt(file, tables.at, tables.count)) {
    if (table.fileOffset === 0) continue;
    const first = table.index * entriesOfTable;
    for (const { index, fileOffset, isPlain } of entriesAt(file, table.fileOffset, entriesOfTable)) {
      const offset = (first + index) * clusterBytes;
      if (!isPlain || fileOffset === 0 || fileOffset % clusterBytes !== 0 || offset >= sizeBytes) continue;
      const length = Math.min(clusterBytes, sizeBytes - offset);
      if (run !== null && follows(run, offset, fileOffset)) run.length += length;
      else {
        if (run !== null) yield run;
        run = { offset, length, fileOffset };
      }
    }
  }
  if (run !== null) yield run;
}

function follows(run: StoredRange, offset: number, fileOffset: number): boolean {
  return run.offset + run.length === offset && run.fileOffset + run.length === fileOffset;
}

interface Entry {
  index: number;
  fileOffset: number;
  /** Neither compressed nor zero. */
  isPlain: boolean;
}

function* entriesAt(file: HeaderFile, at: number, count: number): Generator<Entry> {
  for (let first = 0; first < count; first += ENTRIES_AT_ONCE) {
    const some = Math.min(ENTRIES_AT_ONCE, count - first);
    const part = fieldsAt(file, at + first * ENTRY_BYTES, some * ENTRY_BYTES);
    for (let index = 0; index < some; index++) {
      const upper = part.u32(index * ENTRY_BYTES, 'big');
      const lower = part.u32(index * ENTRY_BYTES + 4, 'big');
      yield {
        index: first + index,
        fileOffset: (upper & UPPER_OFFSET) * 2 ** 32 + ((lower & LOWER_OFFSET) >>> 0),
        isPlain: (upper & COMPRESSED) === 0 && (lower & READS_AS_ZERO) === 0,
      };
    }
  }
}
