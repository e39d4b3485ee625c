import { type Extent, mergeTouching } from '../../../extent/extents.ts';
import { mappedReader } from '../../source/mapped-reader.ts';
import type { ReadAt } from '../../source/read-at.ts';
import { allSet, anySet, countFree, setBits, usedRuns } from '../bitmap.ts';
import { boundedRead, viewOf } from '../bounded-read.ts';
import { Doubt, orDoubt, Unclean } from '../doubt.ts';
import { readLayout, type NtfsLayout } from './boot-sector.ts';
import { requireCleanLog } from './log-file.ts';
import {
  attributesOf,
  attributeType,
  isInUse,
  magicOf,
  unprotect,
  type Attribute,
  type NonResident,
} from './record.ts';

/*
 * Which clusters of NTFS are in use: those that $Bitmap says. It has no checksum, so every cluster of every file must be in it. Sources:
 * see record.ts; ntfs-3g, libntfs-3g/volume.c (ntfs_device_mount, ntfs_volume_check_hiberfile).
 */

/** The records of the first files, which are those of the file system itself. */
const record = { table: 0, mirror: 1, log: 2, volume: 3, root: 5, bitmap: 6 };
const MIRRORED_RECORDS = 4;
/** Of $Boot. */
const BOOT_BYTES = 8192;
/** With more files it is not looked into: each record is read. */
const MOST_RECORDS = 2 ** 24;
/** Several at once. */
const BATCH_RECORDS = 64;
/** The flags of a volume that needs nothing done. */
const NO_FLAGS = 0;
const HIBERNATION = 'hiberfil.sys';

interface NtfsFiles {
  layout: NtfsLayout;
  /** The master file table as one piece. */
  table: ReadAt;
  recordCount: number;
  bitmap: Uint8Array;
}

/** The bytes in use. Throws Doubt unless the free clusters are known for certain. */
export function countUsedBytes(readAt: ReadAt, regionBytes: number): number {
  const read = boundedRead(readAt, regionBytes);
  const files = openFiles(read, regionBytes);
  checkMirror(read, files);
  checkVolume(files);
  const log = contentOf(read, files.layout, fileAttributes(files, record.log));
  requireCleanLog(log.read, log.size);
  checkClusters(read, files);
  return usedBytes(files);
}

/** See `FileSystem.estimateUsedBytes`. */
export function estimateUsedBytes(readAt: ReadAt, regionBytes: number): number | null {
  return orDoubt(() => usedBytes(openFiles(boundedRead(readAt, regionBytes), regionBytes)));
}

/** See `FileSystem.usedExtents`. */
export function usedExtents(readAt: ReadAt, regionBytes: number): Generator<Extent> {
  return mergeTouching(usedPieces(boundedRead(readAt, regionBytes), regionBytes));
}

function* usedPieces(read: ReadAt, regionBytes: number): Generator<Extent> {
  const files = orDoubt(() => openFiles(read, regionBytes));
  if (files === null) {
    yield { offset: 0, length: regionBytes };
    return;
  }
  const { bitmap, layout } = files;
  const { clusterBytes, clusterCount } = layout;
  for (const [first, end] of usedRuns(bitmap, clusterCount))
    yield { offset: first * clusterBytes, length: (end - first) * clusterBytes };
  // The copy of the boot sector is here.
  const behind = clusterCount * clusterBytes;
  yield { offset: behind, length: regionBytes - behind };
}

function usedBytes({ bitmap, layout: { clusterBytes, clusterCount } }: NtfsFiles): number {
  return (clusterCount - countFree(bitmap, clusterCount)) * clusterBytes;
}

/** Finds the master file table, and reads $Bitmap. */
function openFiles(read: ReadAt, regionBytes: number): NtfsFiles {
  const layout = readLayout(read, regionBytes);
  const { clusterBytes, clusterCount, recordBytes, tableCluster } = layout;
  const own = read(tableCluster * clusterBytes, recordBytes);
  unprotect(own, 'FILE');
  if (!isInUse(own)) throw new Doubt('its master file table is not valid');
  const table = contentOf(read, layout, attributesOf(own, layout));
  const recordCount = Math.floor(table.initialized / recordBytes);
  if (recordCount <= record.bitmap || table.firstCluster !== tableCluster)
    throw new Doubt('its master file table is not valid');
  if (recordCount > MOST_RECORDS) throw new Doubt('it has too many files');
  const files = { layout, table: table.read, recordCount, bitmap: new Uint8Array(0) };
  const content = contentOf(read, layout, fileAttributes(files, record.bitmap));
  const bitmapBytes = Math.ceil(clusterCount / 8);
  if (content.initialized < bitmapBytes) throw new Doubt('its bitmap is too short');
  const bitmap = readAll(content.read, bitmapBytes);
  requireMarked(bitmap, layout);
  return { ...files, bitmap };
}

/** What the boot sector names is in use, whatever the files say. */
function requireMarked(
  bitmap: Uint8Array,
  { clusterBytes, recordBytes, tableCluster, mirrorCluster }: NtfsLayout,
): void {
  const clustersOf = (bytes: number) => Math.ceil(bytes / clusterBytes);
  const places = [
    [0, clustersOf(BOOT_BYTES)],
    [tableCluster, clustersOf(MIRRORED_RECORDS * recordBytes)],
    [mirrorCluster, clustersOf(MIRRORED_RECORDS * recordBytes)],
  ] as const;
  for (const [first, count] of places)
    if (!allSet(bitmap, first, first + count))
      throw new Doubt('its boot sector or its master file table is marked as free');
}

function readAll(read: ReadAt, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const most = 2 ** 18;
  for (let at = 0; at < length; at += most) bytes.set(read(at, Math.min(most, length - at)), at);
  return bytes;
}

function fileAttributes({ layout, table }: Pick<NtfsFiles, 'layout' | 'table'>, number: number): Attribute[] {
  const bytes = table(number * layout.recordBytes, layout.recordBytes);
  unprotect(bytes, 'FILE');
  if (!isInUse(bytes)) throw new Doubt('one of its own files is missing');
  return attributesOf(bytes, layout);
}

interface FileContent {
  read: ReadAt;
  firstCluster: number | undefined;
  size: number;
  initialized: number;
}

/** The content of one of its own files, all of whose clusters must be in its one record. */
function contentOf(
  read: ReadAt,
  { clusterBytes }: NtfsLayout,
  attributes: readonly Attribute[],
): FileContent {
  const own = attributes.filter(({ type, hasName }) => type === attributeType.data && !hasName);
  const [data] = own;
  const content = data?.content;
  const isWhole =
    own.length === 1 && content?.kind === 'clusters' && content.first === 0 && !content.isSparse;
  if (!isWhole || data?.flags !== 0 || attributes.some(({ type }) => type === attributeType.list))
    throw new Doubt('one of its own files is in too many pieces');
  const { runs, size, initialized } = content;
  const pieces = runs.map(({ cluster, count }) => ({
    offset: cluster * clusterBytes,
    length: count * clusterBytes,
  }));
  const room = pieces.reduce((sum, { length }) => sum + length, 0);
  if (initialized > size || size > room) throw new Doubt('one of its own files is not valid');
  return {
    read: boundedRead(mappedReader(read, pieces), room),
    firstCluster: runs[0]?.cluster,
    size,
    initialized,
  };
}

/** The beginning of the master file table is there twice. */
function checkMirror(read: ReadAt, { layout, table }: NtfsFiles): void {
  const { recordBytes, clusterBytes, mirrorCluster } = layout;
  for (let number = 0; number < MIRRORED_RECORDS; number++) {
    const one = table(number * recordBytes, recordBytes);
    const other = read(mirrorCluster * clusterBytes + number * recordBytes, recordBytes);
    for (const bytes of [one, other]) unprotect(bytes, 'FILE');
    const [from, end] = [viewOf(one).getUint16(20, true), viewOf(one).getUint32(24, true)];
    const isSame = Buffer.compare(one.subarray(from, end), other.subarray(from, end)) === 0;
    if (!isSame) throw new Doubt('the two copies of its first records disagree');
  }
}

function checkVolume(files: NtfsFiles): void {
  const information = fileAttributes(files, record.volume).find(
    ({ type }) => type === attributeType.volumeInformation,
  );
  if (information?.content.kind !== 'resident' || information.content.bytes.length < 12)
    throw new Doubt('its version is missing');
  const fields = viewOf(information.content.bytes);
  if (fields.getUint8(8) !== 3) throw new Doubt('its version is not known');
  if (fields.getUint16(10, true) !== NO_FLAGS)
    throw new Unclean('it was not unmounted cleanly, or must be checked first');
}

/** Goes through all files. Throws Doubt if a cluster is in two of them or marked as free, or if Windows has hibernated. */
function checkClusters(read: ReadAt, { layout, table, recordCount, bitmap }: NtfsFiles): void {
  const { recordBytes, clusterCount } = layout;
  const seen = new Uint8Array(Math.ceil(clusterCount / 8));
  const visit = (bytes: Uint8Array): void => {
    const attributes = attributesOf(bytes, layout);
    for (const { content } of attributes) if (content.kind === 'clusters') markRuns(content, bitmap, seen);
    if (attributes.some(isHibernationFile)) refuseHibernation(read, layout, attributes);
  };
  for (let number = 0; number < recordCount; number += BATCH_RECORDS) {
    const count = Math.min(BATCH_RECORDS, recordCount - number);
    const batch = table(number * recordBytes, count * recordBytes);
    for (let index = 0; index < count; index++) {
      const bytes = batch.subarray(index * recordBytes, (index + 1) * recordBytes);
      const magic = magicOf(bytes);
      if (magic === 'BAAD') throw new Doubt('it has noted that a record of it is damaged');
      if (magic !== 'FILE' || !isInUse(bytes)) continue;
      unprotect(bytes, 'FILE');
      visit(bytes);
    }
  }
}

function markRuns({ runs }: NonResident, bitmap: Uint8Array, seen: Uint8Array): void {
  for (const { cluster, count } of runs) {
    const end = cluster + count;
    if (!allSet(bitmap, cluster, end)) throw new Doubt('a cluster of one of its files is marked as free');
    if (anySet(seen, cluster, end)) throw new Doubt('a cluster is in two of its files');
    setBits(seen, cluster, end);
  }
}

/** Whether the attribute is the name of the file in the root directory that Windows hibernates into. */
function isHibernationFile({ type, content }: Attribute): boolean {
  if (type !== attributeType.fileName || content.kind !== 'resident' || content.bytes.length < 66)
    return false;
  const fields = viewOf(content.bytes);
  const parent = fields.getUint32(0, true);
  const name = content.bytes.subarray(66, 66 + fields.getUint8(64) * 2);
  return parent === record.root && new TextDecoder('utf-16le').decode(name).toLowerCase() === HIBERNATION;
}

/** Throws Doubt if the file holds the memory of a guest, or what is in it is not known. */
function refuseHibernation(read: ReadAt, layout: NtfsLayout, attributes: readonly Attribute[]): void {
  const { clusterBytes } = layout;
  const data = attributes.find(({ type, hasName }) => type === attributeType.data && !hasName);
  if (data?.content.kind !== 'clusters' || data.content.isSparse || data.flags !== 0)
    throw new Unclean('what Windows has hibernated into is not known');
  const [run] = data.content.runs;
  if (run === undefined) return;
  const magic = magicOf(read(run.cluster * clusterBytes, 4)).toLowerCase();
  if (magic !== 'wake' && magic !== '\0\0\0\0') throw new Unclean('Windows has hibernated in it');
}
