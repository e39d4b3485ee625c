import type { Pack } from '../archive/pack.ts';
import type { ChunkGrid } from '../chunk/chunk-grid.ts';
import type { ChunkList } from '../chunk/chunk-list.ts';
import type { SealKey } from '../codec/seal.ts';
import type { FramePlan } from './frame-plan.ts';

/**
 * Read the planned bytes, find the chunks that are not empty, name them, and compress those that are not known. Frames go
 * into the pack that the worker has open; a pack that this fills is answered.
 */
export interface CaptureJob {
  kind: 'capture';
  /** Frames of different captures never share a pack. */
  capture: number;
  fd: number;
  grid: ChunkGrid;
  level: number;
  plan: FramePlan;
  /** The chunks that the other side has (`KnownChunks.shared`), to which new ones are added; null: every chunk is new. */
  known: SharedArrayBuffer | null;
  sealKey: SealKey;
}

/**
 * Close the pack that the worker has open, with the chunks that wait for a frame; every worker gets one when there is
 * nothing more to capture.
 */
export interface FlushJob {
  kind: 'flush';
  capture: number;
}

export interface CaptureResult {
  /** The chunks that are not empty, known or not. */
  chunks: ChunkList;
  readBytes: number;
  /** Plain bytes of the chunks that were not known: this pack or a later one holds them. */
  newBytes: number;
  pack: Pack | null;
}

/** Compress as `capture` does, and throw the result away: to know how well it compresses. */
export interface SampleJob {
  kind: 'sample';
  fd: number;
  grid: ChunkGrid;
  level: number;
  plan: FramePlan;
}

export interface SampleResult {
  readBytes: number;
  compressedBytes: number;
}

/** Check a pack, unpack its frames, and write what is not zero to its place in the image. */
export interface ApplyJob {
  kind: 'apply';
  fd: number;
  /** The same file opened with O_DIRECT; null where its file system cannot do that. */
  directFd: number | null;
  grid: ChunkGrid;
  packId: string;
  /** The whole pack, cut anywhere. Handed over: gone from the thread that asks. */
  packParts: readonly Uint8Array[];
}

export interface ApplyResult {
  /** What was written, and is to be read back. */
  chunks: ChunkList;
  plainBytes: number;
}

/** Read chunks back from the image and compare their ids. */
export interface ReadBackJob {
  kind: 'read-back';
  /** Opened with O_DIRECT, or of a file whose pages were dropped from the cache. */
  fd: number;
  grid: ChunkGrid;
  chunks: ChunkList;
}

export interface ReadBackResult {
  plainBytes: number;
  /** Positions of the chunks that read back as something else than was written. */
  mismatches: number[];
}

interface ResultByKind {
  capture: CaptureResult;
  flush: CaptureResult;
  sample: SampleResult;
  apply: ApplyResult;
  'read-back': ReadBackResult;
}

export type Job = CaptureJob | FlushJob | SampleJob | ApplyJob | ReadBackJob;
export type JobResult = ResultByKind[Job['kind']];
export type ResultOf<OneJob extends Job> = ResultByKind[OneJob['kind']];
