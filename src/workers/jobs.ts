import type { PackNaming } from '../pack/pack-format.ts';
import type { PackedChunks, PackedFrame } from '../pack/pack-layout.ts';
import type { Pack } from '../pack/pack.ts';
import type { ChunkGrid } from '../chunk/chunk-grid.ts';
import type { ChunkList } from '../chunk/chunk-list.ts';
import type { SealKey } from '../seal/seal.ts';
import type { FramePlan } from './frame-plan.ts';

/**
 * Read the planned bytes, hash the chunks that are not empty, and compress those that are not known. Frames go into the
 * worker's open pack; the result has that pack if it is full.
 */
export interface CaptureJob {
  kind: 'capture';
  /** Frames of different captures never share a pack. A capture ends with a flush job or an abandon job. */
  capture: number;
  fd: number;
  grid: ChunkGrid;
  level: number;
  plan: FramePlan;
  packNaming: PackNaming;
  /** A pack is full when it passes this size. */
  packLimitBytes: number;
  /** The chunks that the other side has (`KnownChunks.shared`); new ones are added. Null: every chunk is new. */
  known: SharedArrayBuffer | null;
  /** What the other side has at each position (`ChunkMap.sharedMemory`): only other chunks are new. Null: nothing. */
  there: SharedArrayBuffer | null;
  /** The chunks that the other side has at other places (`KnownChunks.shared`): they are not new, either. Null: none. */
  elsewhere: SharedArrayBuffer | null;
  sealKey: SealKey;
}

/**
 * Put the chunks that wait for a frame into the worker's open pack, and close it. At the end of a capture every worker
 * gets this job.
 */
export interface FlushJob {
  kind: 'flush';
  capture: number;
}

/** Drop the open pack and the waiting chunks of a capture that has failed. Every worker gets this job. */
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

/** Compress as `capture` does, only to measure the ratio. */
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

/** Unpack frames, and write the nonzero bytes of their chunks to their places in the image. */
export interface ApplyJob {
  kind: 'apply';
  fd: number;
  /** The same file opened with O_DIRECT; null where its file system cannot do that. */
  directFd: number | null;
  grid: ChunkGrid;
  /** Whether unwritten parts of the target read as zero. If not, zeros become holes, or are written. */
  targetReadsAsZero: boolean;
  from: PackFile | WantedFrames | PlainRun | TakenChunks;
}

/**
 * A pack of this image, whose tables say where its chunks go. The chunks are compared with their ids when they are read
 * back.
 */
export interface PackFile {
  packId: string;
  /** The worker reads the file. */
  packPath: string;
}

/** Chunks side by side, as plain bytes. They get their ids from the worker. */
export interface PlainRun {
  /** Has the bytes at its beginning. Free to be used again after the job. Written past the page cache only from a page's address (`SpareMemory`). */
  memory: SharedArrayBuffer;
  /** The position of the first chunk. */
  first: number;
  /** At most those of a frame of the grid. */
  plainBytes: number;
  /** Whether empty chunks are written, too. */
  withEmpty: boolean;
}

/** Chunks of another disk on this machine. Only those that match their ids are written. */
export interface TakenChunks {
  /** The other disk. */
  fromFd: number;
  /** Where each chunk lies there. */
  fromPositions: Uint32Array;
  /** The chunks, at their positions in this image. */
  chunks: ChunkList;
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
  /** The places in the image that want the chunk; empty if it only lies between wanted chunks. */
  positions: readonly number[];
}

export interface ApplyResult {
  /** The chunks that were written, and are to be read back; ascending. */
  chunks: ChunkList;
  plainBytes: number;
  /** Ids of wanted chunks that are damaged in their frames, one after the other. Nothing was written for them. */
  damagedIds: Uint8Array;
}

/** Unpack chunks of a store's frames into memory that is shared between threads. */
export interface GatherJob {
  kind: 'gather';
  grid: ChunkGrid;
  from: WantedFrames;
  memory: SharedArrayBuffer;
  /** The position of the chunk at the beginning of the memory. */
  first: number;
}

export interface GatherResult {
  plainBytes: number;
  /** Ids of wanted chunks that are damaged in their frames, one after the other. */
  damagedIds: Uint8Array;
}

/** Read chunks back from the image and compare their ids. */
export interface ReadBackJob {
  kind: 'read-back';
  /** Opened with O_DIRECT; otherwise the file's pages were dropped from the cache. */
  fd: number;
  grid: ChunkGrid;
  /** An id of zeros stands for an empty chunk. */
  chunks: ChunkList;
}

export interface ReadBackResult {
  plainBytes: number;
  /** Positions of the chunks that do not match their ids. */
  mismatches: number[];
}

/** The same for chunks that are there already: those that cannot be read, or lie beyond the end, do not match. */
export interface CompareJob extends Omit<ReadBackJob, 'kind'> {
  kind: 'compare';
}

/** Read chunks of an image, and find out their ids. */
export interface IdentifyJob {
  kind: 'identify';
  /** As for `ReadBackJob`. */
  fd: number;
  grid: ChunkGrid;
  /** Ascending. */
  positions: Uint32Array;
}

export interface IdentifyResult {
  /** The chunks that could be read; an id of zeros stands for an empty chunk. */
  chunks: ChunkList;
  plainBytes: number;
}

/** A frame as it lies in a pack. */
export interface SealedFrame {
  /** Handed over: do not use them afterwards. */
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
  /** The whole pack, cut anywhere. Handed over: do not use it afterwards. */
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
  /** The undamaged chunks. */
  good: PackedChunks;
  /** The frames that the pack's tables list, as far as they can be read; none for single frames. */
  frames: readonly PackedFrame[];
  /** Plain bytes of the undamaged chunks. */
  plainBytes: number;
  /** The first damage, as a sentence; null if there is none. */
  damage: string | null;
}

/** Compress bytes into one zstd frame, in place. */
export interface CompressJob {
  kind: 'compress';
  /** Has the plain bytes at its beginning, and gets the frame there. It has room for a frame that is larger than they are. */
  memory: SharedArrayBuffer;
  plainBytes: number;
  level: number;
}

/** Unpack one zstd frame, in place. */
export interface DecompressJob {
  kind: 'decompress';
  /** Has the frame at its beginning, and gets the plain bytes there. */
  memory: SharedArrayBuffer;
  frameBytes: number;
  plainBytes: number;
}

export interface InPlaceResult {
  /** Bytes at the beginning of the memory now. */
  sizeBytes: number;
}

/** Let everybody else have the disk before this worker, or as usual. Every worker gets this job. */
export interface YieldJob {
  kind: 'yield';
  yields: boolean;
  /** Also the processors: only with the right to take that back. */
  ofProcessors: boolean;
}

export interface YieldResult {
  /** Whether the kernel has taken it. */
  isSet: boolean;
}

interface ResultByKind {
  capture: CaptureResult;
  flush: CaptureResult;
  abandon: CaptureResult;
  sample: SampleResult;
  apply: ApplyResult;
  gather: GatherResult;
  'read-back': ReadBackResult;
  compare: ReadBackResult;
  identify: IdentifyResult;
  clear: ClearResult;
  check: CheckResult;
  'check-frames': CheckResult;
  compress: InPlaceResult;
  decompress: InPlaceResult;
  yield: YieldResult;
}

export type Job =
  | CaptureJob
  | FlushJob
  | AbandonJob
  | SampleJob
  | ApplyJob
  | GatherJob
  | ReadBackJob
  | CompareJob
  | IdentifyJob
  | ClearJob
  | CheckJob
  | CheckFramesJob
  | CompressJob
  | DecompressJob
  | YieldJob;
export type JobResult = ResultByKind[Job['kind']];
export type ResultOf<OneJob extends Job> = ResultByKind[OneJob['kind']];
