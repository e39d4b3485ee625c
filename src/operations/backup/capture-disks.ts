import { chunkGridFor, LARGEST_CHUNK_BYTES } from '../../chunk/chunk-grid.ts';
import { chunkUsage } from '../../chunk/chunk-usage.ts';
import type { ChunkMap } from '../../chunk/chunk-map.ts';
import type { SealKey } from '../../seal/seal.ts';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { planFrames } from '../../workers/frame-plan.ts';
import type { FramePool } from '../../workers/frame-pool.ts';
import { Resources } from '../../pipeline/resources.ts';
import type { BackedUpDisk } from './backup-report.ts';
import { comparisonOf, type ComparedDisk, type EarlierCaptures } from './earlier-captures.ts';
import type { BackupWriter } from './pack-writer.ts';
import type { Compression } from '../../transfer/compression-level.ts';
import { tellOfGuestImage } from '../../transfer/container-notices.ts';
import { warnOfDoubtfulFileSystems, warnOfUnknownFileSystems } from '../../transfer/file-system-warnings.ts';
import { targetNameOf } from '../../image/target/target-format.ts';
import { planPass, type PlannedPass } from '../../transfer/plan-pass.ts';
import { sendPacks } from '../../transfer/send-packs.ts';
import { SendProgress } from '../../transfer/send-progress.ts';
import { openSourceDisk, type SourceDisk } from '../../transfer/source-disk.ts';
import type { StillDisk, StillGuest } from '../../hold/still-guest.ts';
import { storedDiskNames } from './stored-disk-names.ts';

/** How long a failed or interrupted backup may take to write its last index. */
const LAST_INDEX_LIMIT_MS = 5000;

export interface DiskReading {
  writer: BackupWriter;
  sealKey: SealKey;
  pool: FramePool;
  compression: Compression;
  everyBlock: boolean;
  /** Names of snapshots inside the images that were told of before. */
  toldSnapshots: readonly string[];
  /** How to find the chunks that have not changed since an earlier snapshot; null: all are read. */
  comparison: EarlierCaptures | null;
}

/** A disk whose chunks are all in the store. */
export interface CapturedDisk {
  still: StillDisk;
  report: BackedUpDisk;
  map: ChunkMap;
  /** `chunkUsage` of it, if what is written to it is recorded. */
  usage: Uint8Array | null;
}

type NamedDisk = ComparedDisk & { name: string };

/** Reads the guest's disks, and stores the chunks that the store does not have. */
export async function captureDisks(
  still: StillGuest,
  { writer, comparison, everyBlock, toldSnapshots, ...reading }: DiskReading,
  context: Context,
): Promise<CapturedDisk[]> {
  await using held = new Resources();
  const names = storedDiskNames(still.disks.map(storedAs));
  const disks: NamedDisk[] = [];
  for (const [index, stillDisk] of still.disks.entries()) {
    const disk = held.hold(await openSourceDisk(stillDisk, { everyBlock, isInUse: stillDisk.isInUse }));
    const usage = still.recording ? chunkUsage(disk.extents(), chunkGridFor(disk.source.sizeBytes)) : null;
    disks.push({ stillDisk, index, name: names[index] ?? '', disk, usage });
  }
  for (const { stillDisk, disk } of disks) refuseTooLarge(stillDisk.image, disk.source.sizeBytes);
  const known = writer.knownChunks(disks.reduce((sum, { disk }) => sum + chunksToRead(disk), 0));
  const sending = { ...reading, sink: writer, known };
  const captured: CapturedDisk[] = [];
  try {
    const passes: (NamedDisk & { pass: PlannedPass })[] = [];
    for (const one of disks) {
      const ofDisk = comparison && comparisonOf(one, still, comparison);
      passes.push({ ...one, pass: await planPass(one.disk, ofDisk, sending, context) });
    }
    const totalBytes = passes.reduce((sum, { pass }) => sum + readBytesOf(pass), 0);
    const progress = new SendProgress('backup', totalBytes, context);
    for (const { stillDisk, name, disk, usage, pass } of passes) {
      tellOfGuestImage(stillDisk, disk, context, toldSnapshots);
      if (!everyBlock) {
        warnOfUnknownFileSystems(disk, context);
        warnOfDoubtfulFileSystems(disk, context);
      }
      progress.read(pass.sampledBytes, 0);
      const { map, extents } = pass;
      await sendPacks({ source: disk.source, extents: extents(), map, progress }, sending, context.signal);
      captured.push({ still: stillDisk, map, usage, report: diskReport(name, disk, pass) });
    }
  } catch (error) {
    // Spares the next backup from sending again what has arrived; also after Ctrl-C.
    await writer.flushIndex(AbortSignal.timeout(LAST_INDEX_LIMIT_MS)).catch(() => undefined);
    throw error;
  }
  await writer.flushIndex(context.signal);
  return captured;
}

/** A store holds the bytes of the disk: its name there has no ending of another format. */
function storedAs({ image, format, imageFormat }: StillDisk): string {
  return targetNameOf({ path: image, format: imageFormat ?? format }, 'raw');
}

/** Readers of a store refuse larger chunks, which could fill their memory. */
export function refuseTooLarge(image: string, sizeBytes: number): void {
  if (chunkGridFor(sizeBytes).chunkBytes <= LARGEST_CHUNK_BYTES) return;
  throw new Failure('guest-unsupported', `${image} is larger than 64 TiB, the limit of a store.`, {
    advice: 'Make the disk smaller, or spread its data over several disks.',
  });
}

/** The largest number of new chunks that the disk can have. */
function chunksToRead(disk: SourceDisk): number {
  let count = 0;
  for (const plan of planFrames(disk.extents(), chunkGridFor(disk.source.sizeBytes)))
    count += plan.positions.length;
  return count;
}

function readBytesOf({ restBytes, sampledBytes }: PlannedPass): number {
  return restBytes + sampledBytes;
}

function diskReport(name: string, disk: SourceDisk, pass: PlannedPass): BackedUpDisk {
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
