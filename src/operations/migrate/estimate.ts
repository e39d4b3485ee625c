import { performance } from 'node:perf_hooks';
import { chunkGridFor } from '../../chunk/chunk-grid.ts';
import type { FramePool } from '../../workers/frame-pool.ts';
import { planFrames, type FramePlan } from '../../workers/frame-plan.ts';
import { fileSystemOf } from '../../image/file-systems.ts';
import { intersect, totalLength } from '../../extent/extents.ts';
import { hasComparableContent } from '../../image/clones/placed-extents.ts';
import { contentsOf } from '../../image/probe.ts';
import { volumeReader } from '../../image/volume-group.ts';
import { HALT_SECONDS, USUAL_BOOT_SECONDS } from './passes/downtime.ts';
import { mapOrdered } from '../../pipeline/map-ordered.ts';
import type { RemoteReceiver } from '../../wire/remote-receiver.ts';
import type { SourceDisk } from '../../transfer/source-disk.ts';

const SAMPLED_FRAMES = 24;
const MEASURE_PADDING_BYTES = 512 * 1024;
const LEAST_PADDING_BYTES = 1024;
const MEASURE_ROUNDS = 4;

export interface CompressionSample {
  /** Compressed bytes for each byte read. */
  ratio: number;
  /** Bytes read and compressed in a second, on all cores. */
  readBytesPerSecond: number;
}

/** Compresses frames spread evenly over what a move would read. Null when there is nothing to read. */
export async function sampleCompression(
  disks: readonly SourceDisk[],
  pool: FramePool,
  level: number,
): Promise<CompressionSample | null> {
  let readBytes = 0;
  let compressedBytes = 0;
  const startedMs = performance.now();
  for (const disk of disks) {
    const { source } = disk;
    const grid = chunkGridFor(source.sizeBytes);
    const plans = sampledFrames(disk);
    const results = mapOrdered(plans, pool.width, (plan) =>
      pool.run({ kind: 'sample', fd: source.fd, grid, level, plan }),
    );
    for await (const result of results) {
      readBytes += result.readBytes;
      compressedBytes += result.compressedBytes;
    }
  }
  if (readBytes === 0) return null;
  return {
    ratio: compressedBytes / readBytes,
    readBytesPerSecond: readBytes / ((performance.now() - startedMs) / 1000),
  };
}

/** Frames that are spread evenly over what a move would read of the disk. */
export function sampledFrames({ source, extents, readBytes }: SourceDisk): Iterable<FramePlan> {
  return evenlySpread(planFrames(extents(), chunkGridFor(source.sizeBytes)), readBytes);
}

function* evenlySpread(plans: Iterable<FramePlan>, totalBytes: number): Iterable<FramePlan> {
  let passedBytes = 0;
  let taken = 0;
  for (const plan of plans) {
    if (passedBytes >= (taken * totalBytes) / SAMPLED_FRAMES) {
      yield plan;
      taken++;
    }
    passedBytes += plan.reads.reduce((sum, read) => sum + read.length, 0);
  }
}

/**
 * Measures the bytes per second that the line to the new hardware carries, by a few round trips. With a limit, no more than a
 * second's worth of it is sent for that, and no more than the limit is returned.
 */
export async function measureLine(
  receiver: RemoteReceiver,
  limitBytesPerSecond: number | null,
  signal: AbortSignal,
): Promise<number> {
  const most = limitBytesPerSecond ?? Number.POSITIVE_INFINITY;
  const share = Math.floor(most / MEASURE_ROUNDS);
  const paddingBytes = Math.max(LEAST_PADDING_BYTES, Math.min(MEASURE_PADDING_BYTES, share));
  const roundTripMs = await timed(() =>
    receiver.request({ type: 'measure', padding: '' }, 'measured', signal),
  );
  const padding = 'x'.repeat(paddingBytes);
  let elapsedMs = 0;
  for (let round = 0; round < MEASURE_ROUNDS; round++) {
    elapsedMs += await timed(() => receiver.request({ type: 'measure', padding }, 'measured', signal));
  }
  const sendingMs = Math.max(1, elapsedMs - MEASURE_ROUNDS * roundTripMs);
  return Math.min(most, (MEASURE_ROUNDS * paddingBytes * 1000) / sendingMs);
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

/** From the halt of the guest until it is up again, if reading and sending go as in the samples. */
export function estimateDowntimeSeconds(
  readBytes: number,
  sample: CompressionSample,
  lineBytesPerSecond: number,
): number {
  const readSeconds = readBytes / sample.readBytesPerSecond;
  const sendSeconds = (readBytes * sample.ratio) / lineBytesPerSecond;
  return HALT_SECONDS + USUAL_BOOT_SECONDS + Math.max(readSeconds, sendSeconds);
}

/**
 * The same for a guest that is copied while it runs, if little of it changes meanwhile.
 * @param isRecorded whether its hypervisor records what it writes
 */
export function estimateWarmDowntimeSeconds(
  disks: readonly SourceDisk[],
  isRecorded: boolean,
  sample: CompressionSample,
  lineBytesPerSecond: number,
): number {
  // Else only a clone on XFS or btrfs tells what changed; anything else is read once more after the halt.
  const isCompared = ({ source }: SourceDisk) => !isRecorded && !hasComparableContent(source);
  const comparedBytes = disks.filter(isCompared).reduce((sum, disk) => sum + expectedReadBytes(disk), 0);
  return estimateDowntimeSeconds(0, sample, lineBytesPerSecond) + comparedBytes / sample.readBytesPerSecond;
}

/**
 * Estimates how much of a running guest's disk will be read. Free blocks will not be read, but they are known
 * only after the halt, when the file systems are clean.
 */
export function expectedReadBytes({ source, layout, readBytes }: SourceDisk): number {
  const savings = contentsOf(layout).map(({ pieces, length, kind, clean }) => {
    const fileSystem = clean === false ? fileSystemOf(kind) : undefined;
    const usedBytes = fileSystem?.estimateUsedBytes(volumeReader(source, pieces), length) ?? null;
    if (usedBytes === null) return 0;
    const places = pieces.toSorted((one, other) => one.offset - other.offset);
    return Math.max(0, totalLength(intersect(source.dataExtents(), places)) - usedBytes);
  });
  return savings.reduce((rest, saving) => rest - saving, readBytes);
}
