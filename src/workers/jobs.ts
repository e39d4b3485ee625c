import type { PackNaming } from '../pack/pack-format.ts';
import type { PackedChunks, PackedFrame } from '../pack/pack-layout.ts';
import type { Pack } from '../pack/pack.ts';
import type { ChunkGrid } from '../chunk/chunk-grid.ts';
import type { ChunkList } from '../chunk/chunk-list.ts';
import type { SealKey } from '../seal/seal.ts';
import type { FramePlan } from './frame-plan.ts';

/**
 * Read the planned bytes, find the chunks that are not empty, name them, and compress those that are not known. Frames go
 * into the pack that the worker has open; a pack that this fills is answered.
 */
export interface CaptureJob {
  kind: 'capture';
  /** Frames of different captures never share a pack. Ends with a flush job, or is abandoned. */
  capture: number;
  fd: number;
  grid: ChunkGrid;
  level: number;
  plan: FramePlan;
  packNaming: PackNaming;
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

/** Forget what is open of a capture that goes no further; for every worker. */
export interface AbandonJob {
  kind: 'abandon';
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

/** Unpack frames, and write what is not zero of their chunks to its places in the image. */
export interface ApplyJob {
  kind: 'apply';
  fd: number;
  /** The same file opened with O_DIRECT; null where its file system cannot do that. */
  directFd: number | null;
  grid: ChunkGrid;
  /** Whether the target reads as zero where nothing was written yet; if not, zeros are written, too, or holes made. */
  targetReadsAsZero: boolean;
  from: PackFile | WantedFrames;
}

/** A pack of this image, whose tables say where its chunks go. They are compared with their ids when they are read back. */
export interface PackFile {
  packId: string;
  /** The worker reads the file. */
  packPath: string;
}

/** Frames of a store. Only wanted chunks are written, and only if they match their ids. */
export interface WantedFrames {
  sealKey: SealKey;
  frames: readonly WantedFrame[];
}

export interface WantedFrame extends SealedFrame {
  chunks: readonly WantedChunk[];
}

export interface WantedChunk extends SealedChunk {
  /** Where in the image it is wanted; nowhere, if it only lies between others. */
  positions: readonly number[];
}

export interface ApplyResult {
  /** What was written, and is to be read back; ascending. */
  chunks: ChunkList;
  plainBytes: number;
  /** Ids of the wanted chunks that the frames do not give, one after the other. Nothing was written for them. */
  damagedIds: Uint8Array;
}

/** Read chunks back from the image and compare their ids. */
export interface ReadBackJob {
  kind: 'read-back';
  /** Opened with O_DIRECT, or of a file whose pages were dropped from the cache. */
  fd: number;
  grid: ChunkGrid;
  /** An id of zeros stands for an empty chunk. */
  chunks: ChunkList;
}

export interface ReadBackResult {
  plainBytes: number;
  /** Positions of the chunks that read back as something else than was written. */
  mismatches: number[];
}

/** The same for what is there already: chunks that cannot be read, or lie beyond its end, do not match. */
export interface CompareJob extends Omit<ReadBackJob, 'kind'> {
  kind: 'compare';
}

/** A frame as it lies in a pack. */
export interface SealedFrame {
  /** Handed over: their memory may be gone from the thread that asks. */
  bytes: Uint8Array;
  /** All of its chunks, in order. */
  chunks: readonly SealedChunk[];
}

export interface SealedChunk {
  id: Uint8Array;
  /** Plain bytes. */
  length: number;
}

/** Make chunks of the image empty. */
export interface ClearJob {
  kind: 'clear';
  fd: number;
  grid: ChunkGrid;
  /** Ascending. */
  positions: Uint32Array;
}

export interface ClearResult {
  plainBytes: number;
}

/** Check a whole pack of a store, down to each chunk. */
export interface CheckJob {
  kind: 'check';
  packId: string;
  /** The whole pack, cut anywhere. Handed over: its memory may be gone from the thread that asks. */
  packParts: readonly Uint8Array[];
  sealKey: SealKey;
}

/** Check single frames. */
export interface CheckFramesJob {
  kind: 'check-frames';
  frames: readonly SealedFrame[];
  sealKey: SealKey;
}

export interface CheckResult {
  /** The chunks that can be had from it as they should be. */
  good: PackedChunks;
  /** What lies where in the pack by its own tables, as far as they can be read; nothing for single frames. */
  frames: readonly PackedFrame[];
  /** Of these chunks. */
  plainBytes: number;
  /** What is wrong first, as a sentence; null when nothing is. */
  damage: string | null;
}

interface ResultByKind {
  capture: CaptureResult;
  flush: CaptureResult;
  abandon: CaptureResult;
  sample: SampleResult;
  apply: ApplyResult;
  'read-back': ReadBackResult;
  compare: ReadBackResult;
  clear: ClearResult;
  check: CheckResult;
  'check-frames': CheckResult;
}

export type Job =
  | CaptureJob
  | FlushJob
  | AbandonJob
  | SampleJob
  | ApplyJob
  | ReadBackJob
  | CompareJob
  | ClearJob
  | CheckJob
  | CheckFramesJob;
export type JobResult = ResultByKind[Job['kind']];
export type ResultOf<OneJob extends Job> = ResultByKind[OneJob['kind']];
