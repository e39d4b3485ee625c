import { createHash } from 'node:crypto';
import { RunningChunkMap } from '../chunk/running-chunk-map.ts';
import type { Extent } from '../extent/extents.ts';
import { CHECKSUMS_NAME, checksumsText } from './checksums.ts';
import { FINGERPRINTS_NAME, fingerprintsText } from './fingerprints.ts';
import { MANIFEST_NAME } from './manifest.ts';
import { fewExtents, sparseMapText } from './sparse-map.ts';
import { END_BYTES, memberHeader, paddingBytes } from './tar-header.ts';

/** The most bytes that are read at once. */
export const PIECE_BYTES = 2 ** 20;

const zeros = new Uint8Array(2 ** 20);

/** A disk that is to be written. */
export interface ArchivedDisk {
  name: string;
  sizeBytes: number;
  /** What it holds: sorted, disjoint. The rest counts as zero. The same each time. */
  extents: () => Iterable<Extent>;
  /** Reads exactly these bytes. They may be overwritten by the next read. Called in ascending order. */
  read: (offset: number, length: number) => Uint8Array | Promise<Uint8Array>;
}

export interface ArchiveContent {
  manifest: string;
  createdAt: Date;
  disks: readonly ArchivedDisk[];
  /** Called with the SHA-256 of each disk, and the bytes of it in the archive. */
  onDisk: (name: string, sha256: string) => void;
}

/**
 * An archive (doc/formats.md), in pieces of 1 MiB at most. A piece is valid until the next one is asked for. Empty pieces come while
 * large holes are hashed, so that the caller can do something else meanwhile.
 */
export async function* archivePieces({
  manifest,
  createdAt,
  disks,
  onDisk,
}: ArchiveContent): AsyncGenerator<Uint8Array, void, undefined> {
  const sums = new Map<string, string>();
  const fingerprints = new Map<string, string>();
  const content = Buffer.from(manifest);
  sums.set(MANIFEST_NAME, sha256Of(content));
  yield* smallMember(MANIFEST_NAME, content, createdAt);
  for (const disk of disks) {
    const map = new RunningChunkMap(disk.sizeBytes);
    const sum = yield* sparseMember(disk, createdAt, map);
    sums.set(disk.name, sum);
    fingerprints.set(disk.name, map.fingerprint());
    onDisk(disk.name, sum);
  }
  const stated = Buffer.from(fingerprintsText(fingerprints));
  sums.set(FINGERPRINTS_NAME, sha256Of(stated));
  yield* smallMember(FINGERPRINTS_NAME, stated, createdAt);
  yield* smallMember(CHECKSUMS_NAME, Buffer.from(checksumsText(sums)), createdAt);
  yield zeros.subarray(0, END_BYTES);
}

function sha256Of(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

function* smallMember(name: string, content: Uint8Array, modifiedAt: Date): Iterable<Uint8Array> {
  yield memberHeader({ name, sizeBytes: content.length, modifiedAt });
  for (let start = 0; start < content.length; start += PIECE_BYTES)
    yield content.subarray(start, start + PIECE_BYTES);
  yield zeros.subarray(0, paddingBytes(content.length));
}

/** Returns the SHA-256 of the whole disk. Adds its bytes to the map. */
async function* sparseMember(
  disk: ArchivedDisk,
  modifiedAt: Date,
  map: RunningChunkMap,
): AsyncGenerator<Uint8Array, string, undefined> {
  const { name, sizeBytes } = disk;
  const extents = fewExtents(disk.extents);
  const read = async (offset: number, length: number) => {
    const bytes = await disk.read(offset, length);
    map.add(offset, bytes);
    return bytes;
  };
  let mapBytes = 0;
  for (const piece of sparseMapText(extents, sizeBytes)) mapBytes += piece.length;
  const mapPadding = paddingBytes(mapBytes);
  let dataBytes = 0;
  for (const { length } of extents()) dataBytes += length;
  yield memberHeader({
    // As GNU tar names it: the name that a tar shows that does not know sparse files.
    name: `GNUSparseFile.0/${name.slice(0, 80).replaceAll(/[^ -~]/g, '_')}`,
    sizeBytes: mapBytes + mapPadding + dataBytes,
    modifiedAt,
    records: {
      'GNU.sparse.major': '1',
      'GNU.sparse.minor': '0',
      'GNU.sparse.name': name,
      'GNU.sparse.realsize': String(sizeBytes),
    },
  });
  for (const piece of sparseMapText(extents, sizeBytes)) yield Buffer.from(piece);
  yield zeros.subarray(0, mapPadding);
  const sum = yield* diskData({ ...disk, extents, read }, false);
  yield zeros.subarray(0, paddingBytes(dataBytes));
  return sum;
}

/**
 * The bytes of the extents, with the zeros between them if `withGaps`. Returns the SHA-256 of the whole disk: `sha256sum` reads the holes,
 * too.
 */
async function* diskData(
  { sizeBytes, extents, read }: ArchivedDisk,
  withGaps: boolean,
): AsyncGenerator<Uint8Array, string, undefined> {
  const hash = createHash('sha256');
  const gap = function* (length: number): Iterable<Uint8Array> {
    for (const piece of zeroPieces(length)) {
      hash.update(piece);
      yield withGaps ? piece : zeros.subarray(0, 0);
    }
  };
  let position = 0;
  for (const { offset, length } of extents()) {
    yield* gap(offset - position);
    const end = offset + length;
    for (let at = offset; at < end; at += PIECE_BYTES) {
      const piece = await read(at, Math.min(PIECE_BYTES, end - at));
      hash.update(piece);
      yield piece;
    }
    position = end;
  }
  yield* gap(sizeBytes - position);
  return hash.digest('hex');
}

/** That many zero bytes, in pieces. */
export function* zeroPieces(length: number): Iterable<Uint8Array> {
  for (let left = length; left > 0; left -= zeros.length) yield zeros.subarray(0, left);
}

/** A bare image: all bytes of the disk, zeros too. */
export async function* imagePieces(
  disk: ArchivedDisk,
  onDisk: ArchiveContent['onDisk'],
): AsyncGenerator<Uint8Array, void, undefined> {
  onDisk(disk.name, yield* diskData(disk, true));
}
