import { chunkGridFor, LARGEST_CHUNK_BYTES } from '../../chunk/chunk-grid.ts';
import type { ChunkMap } from '../../chunk/chunk-map.ts';
import type { KnownChunks } from '../../chunk/known-chunks.ts';
import type { SealKey } from '../../seal/seal.ts';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { planFrames } from '../../workers/frame-plan.ts';
import type { FramePool } from '../../workers/frame-pool.ts';
import type { Extent } from '../../extent/extents.ts';
import { mapOrdered } from '../../pipeline/map-ordered.ts';
import { Resources } from '../../pipeline/resources.ts';
import { BackupProgress } from './backup-progress.ts';
import type { BackedUpDisk } from './backup-report.ts';
import type { BackupWriter } from './pack-writer.ts';
import { captureImage, PACKS_IN_FLIGHT } from '../../transfer/capture.ts';
import { CompressionLevel, type Compression } from '../../transfer/compression-level.ts';
import { warnOfDoubtfulFileSystems, warnOfUnknownFileSystems } from '../../transfer/file-system-warnings.ts';
import { planPass, type DiskPass, type PassOptions } from './disk-pass.ts';
import { openSourceDisk, type SourceDisk } from '../../transfer/source-disk.ts';
import type { StillDisk, StillGuest } from '../../hold/still-guest.ts';
import { storedDiskNames } from './stored-disk-names.ts';
import type { BaseSearch } from './unchanged-chunks.ts';

/** For the index of a backup that is broken off. */
const LAST_INDEX_LIMIT_MS = 5000;

export interface CaptureOptions {
  writer: BackupWriter;
  sealKey: SealKey;
  pool: FramePool;
  compression: Compression;
  everyBlock: boolean;
  /** What tells that chunks have not changed since an earlier snapshot; null: all are read. */
  bases: Omit<BaseSearch, 'image'> | null;
  /** From 0 to 1, 1 excluded. */
  random: () => number;
}

/** A disk whose chunks are all in the store. */
export interface CapturedDisk {
  still: StillDisk;
  report: BackedUpDisk;
  map: ChunkMap;
}

/** Reads the guest's disks, and stores the chunks that the store has not. */
export async function captureDisks(
  still: StillGuest,
  options: CaptureOptions,
  context: Context,
): Promise<CapturedDisk[]> {
  const { writer, everyBlock } = options;
  await using held = new Resources();
  const names = storedDiskNames(still.disks.map(({ image }) => image));
  const disks: { stillDisk: StillDisk; name: string; disk: SourceDisk }[] = [];
  for (const [index, stillDisk] of still.disks.entries()) {
    const disk = held.hold(await openSourceDisk(stillDisk.path, options));
    disks.push({ stillDisk, name: names[index] ?? '', disk });
  }
  for (const { stillDisk, disk } of disks) refuseTooLarge(stillDisk.image, disk.source.sizeBytes);
  const known = writer.knownChunks(disks.reduce((sum, { disk }) => sum + chunksToRead(disk), 0));
  const captured: CapturedDisk[] = [];
  try {
    const passes: { stillDisk: StillDisk; name: string; disk: SourceDisk; pass: DiskPass }[] = [];
    for (const one of disks) {
      const pass = await planPass(one.disk, passOptions(one.stillDisk, known, options, context), context);
      passes.push({ ...one, pass });
    }
    const progress = new BackupProgress(
      passes.reduce((sum, { pass }) => sum + readBytesOf(pass), 0),
      context,
    );
    for (const { stillDisk, name, disk, pass } of passes) {
      if (!everyBlock) {
        warnOfUnknownFileSystems(disk, context);
        warnOfDoubtfulFileSystems(disk, context);
      }
      progress.read(pass.sampledBytes, 0);
      await storeExtents(disk, pass.extents(), pass.map, known, progress, options, context.signal);
      captured.push({ still: stillDisk, map: pass.map, report: diskReport(name, disk, pass) });
    }
  } catch (error) {
    // What has arrived need not be sent again; also after Ctrl-C.
    await writer.flushIndex(AbortSignal.timeout(LAST_INDEX_LIMIT_MS)).catch(() => undefined);
    throw error;
  }
  await writer.flushIndex(context.signal);
  return captured;
}

function passOptions(
  { image }: StillDisk,
  known: KnownChunks,
  options: CaptureOptions,
  { signal }: Context,
): PassOptions {
  const { bases, random } = options;
  return {
    known,
    search: bases && { ...bases, image },
    store: (disk, extents, map) => storeExtents(disk, extents, map, known, null, options, signal),
    random,
  };
}

/** Reads these extents of a disk into the map, and stores the chunks that are not known. */
async function storeExtents(
  disk: SourceDisk,
  extents: Iterable<Extent>,
  map: ChunkMap,
  known: KnownChunks,
  progress: BackupProgress | null,
  { writer, sealKey, pool, compression }: CaptureOptions,
  signal: AbortSignal,
): Promise<void> {
  const level = new CompressionLevel(compression);
  const { packs } = captureImage(disk.source, {
    extents,
    map,
    level: () => level.current,
    pool,
    known,
    sealKey,
    onRead: (bytes, packedBytes) => progress?.read(bytes, packedBytes),
  });
  const puts = mapOrdered(level.watch(packs), PACKS_IN_FLIGHT, async (pack) => {
    const sizeBytes = pack.bytes.length;
    await writer.putPack(pack, signal, (bytes) =>
      progress?.sent(bytes, (bytes / sizeBytes) * pack.plainBytes),
    );
    pool.reuse(pack);
  });
  for await (const _ of puts) signal.throwIfAborted();
}

/** Readers of a store take no larger chunks, so that nobody can have them fill their memory. */
export function refuseTooLarge(image: string, sizeBytes: number): void {
  if (chunkGridFor(sizeBytes).chunkBytes <= LARGEST_CHUNK_BYTES) return;
  throw new Failure('guest-unsupported', `${image} is larger than 64 TiB, which a store cannot keep.`, {
    advice: 'Make its disk smaller, or spread it over several.',
  });
}

/** The most chunks that the disk can add to what is known. */
function chunksToRead(disk: SourceDisk): number {
  let count = 0;
  for (const plan of planFrames(disk.extents(), chunkGridFor(disk.source.sizeBytes)))
    count += plan.positions.length;
  return count;
}

function readBytesOf({ restBytes, sampledBytes }: DiskPass): number {
  return restBytes + sampledBytes;
}

function diskReport(name: string, disk: SourceDisk, pass: DiskPass): BackedUpDisk {
  const { holeBytes, freeBytes } = disk;
  const readBytes = readBytesOf(pass);
  return {
    name,
    sizeBytes: disk.source.sizeBytes,
    readBytes,
    unchangedBytes: disk.readBytes - readBytes,
    holeBytes,
    freeBytes,
    fingerprint: pass.map.fingerprint(),
  };
}
