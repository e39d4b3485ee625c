/*
 * A copy-on-write file of User Mode Linux, told to QEMU as a qcow2 image (QEMU, docs/interop/qcow2.txt) whose data lies in another
 * file. Clusters have 16 KiB and subclusters 512 bytes, so that each sector is either in that file, at its place on the disk, or
 * in the backing file. Only the tables are made: 16 bytes for 16 KiB, and none where nothing was written.
 */

const CLUSTER_BITS = 14;
const CLUSTER_BYTES = 2 ** CLUSTER_BITS;
const SECTORS_PER_CLUSTER = CLUSTER_BYTES / 512;
const L2_ENTRY_BYTES = 16;
const CLUSTERS_PER_TABLE = CLUSTER_BYTES / L2_ENTRY_BYTES;
/** The bits of one table's sectors. */
const BITMAP_BYTES = (CLUSTERS_PER_TABLE * SECTORS_PER_CLUSTER) / 8;
/** Incompatible features: an external data file, and subclusters. */
const FEATURES = (1n << 2n) | (1n << 4n);
const COPIED = 1n << 63n;

/** Bytes of the overlay, at their place in it; other bytes are zero. */
export interface OverlayPart {
  offset: number;
  bytes: Uint8Array;
}

/**
 * The parts of the overlay. The memory in use grows by 8 bytes for each 16 MiB of the disk.
 * @param sizeBytes of the disk
 * @param readBitmap reads the bitmap: a bit for each sector of 512 bytes, the lowest first
 */
export function* cowOverlay(
  sizeBytes: number,
  readBitmap: (offset: number, length: number) => Uint8Array,
): Generator<OverlayPart> {
  const sectors = Math.ceil(sizeBytes / 512);
  const bitmapBytes = Math.ceil(sectors / 8);
  const tableCount = Math.ceil(bitmapBytes / BITMAP_BYTES);
  const tables = Buffer.alloc(tableCount * 8);
  // The header and an empty table of reference counts come first.
  const tablesOffset = 2 * CLUSTER_BYTES;
  let offset = tablesOffset + Math.ceil(tables.length / CLUSTER_BYTES) * CLUSTER_BYTES;
  for (let index = 0; index < tableCount; index++) {
    const at = index * BITMAP_BYTES;
    const bitmap = Buffer.from(readBitmap(at, Math.min(BITMAP_BYTES, bitmapBytes - at)));
    if (at + bitmap.length === bitmapBytes) clearBeyond(bitmap, sectors - at * 8);
    const table = tableOf(bitmap, index * CLUSTERS_PER_TABLE * CLUSTER_BYTES);
    if (table === null) continue;
    tables.writeBigUInt64BE(BigInt(offset) | COPIED, index * 8);
    yield { offset, bytes: table };
    offset += CLUSTER_BYTES;
  }
  yield { offset: tablesOffset, bytes: tables };
  yield { offset: 0, bytes: headerOf(sizeBytes, tableCount, tablesOffset) };
}

/** Clears the bits behind the last sector. */
function clearBeyond(bitmap: Buffer, sectors: number): void {
  const last = bitmap.length - 1;
  if (sectors % 8 !== 0) bitmap[last] = (bitmap[last] ?? 0) & (2 ** (sectors % 8) - 1);
}

/** Null if no sector was written. @param diskOffset of the first cluster */
function tableOf(bitmap: Buffer, diskOffset: number): Uint8Array | null {
  let table: Buffer | null = null;
  for (let at = 0; at < bitmap.length; at += SECTORS_PER_CLUSTER / 8) {
    const bits = bitmap.readUIntLE(at, Math.min(4, bitmap.length - at));
    if (bits === 0) continue;
    table ??= Buffer.alloc(CLUSTER_BYTES);
    const cluster = at / 4;
    // COPIED also says that 0 is an offset, and not the mark of an absent cluster.
    const place = BigInt(diskOffset + cluster * CLUSTER_BYTES) | COPIED;
    table.writeBigUInt64BE(place, cluster * L2_ENTRY_BYTES);
    table.writeBigUInt64BE(BigInt(bits), cluster * L2_ENTRY_BYTES + 8);
  }
  return table;
}

function headerOf(sizeBytes: number, tableCount: number, tablesOffset: number): Uint8Array {
  const header = Buffer.alloc(CLUSTER_BYTES);
  header.write('QFI\xfb', 0, 'latin1');
  header.writeUInt32BE(3, 4);
  header.writeUInt32BE(CLUSTER_BITS, 20);
  header.writeBigUInt64BE(BigInt(sizeBytes), 24);
  header.writeUInt32BE(tableCount, 36);
  header.writeBigUInt64BE(BigInt(tablesOffset), 40);
  header.writeBigUInt64BE(BigInt(CLUSTER_BYTES), 48);
  header.writeUInt32BE(1, 56);
  header.writeBigUInt64BE(FEATURES, 72);
  header.writeUInt32BE(4, 96);
  header.writeUInt32BE(104, 100);
  return header;
}
