import type { FramePlan } from './frame-plan.ts';

/** One row of a frame's table: which chunk of the image, its id, and its plain length in bytes. */
export interface FrameChunk {
  position: number;
  id: Uint8Array;
  length: number;
}

/** A run of chunks, compressed together; see doc/formats.md. */
export interface Frame {
  chunks: readonly FrameChunk[];
  /** One zstd frame: the chunks' plain bytes, one after the other. */
  compressed: Uint8Array;
}

/** Read the planned bytes, find the chunks that are not empty, name and compress them. */
export interface CaptureJob {
  kind: 'capture';
  fd: number;
  imageBytes: number;
  chunkBytes: number;
  level: number;
  plan: FramePlan;
}

export interface CaptureResult {
  /** null when all chunks of the plan turned out to be empty. */
  frame: Frame | null;
  readBytes: number;
}

/** Unpack a frame, check each chunk, and write what is not zero to its place in the image. */
export interface ApplyJob {
  kind: 'apply';
  fd: number;
  chunkBytes: number;
  frame: Frame;
}

export interface ApplyResult {
  plainBytes: number;
}

/** Read chunks back from the image and compare their ids. */
export interface ReadBackJob {
  kind: 'read-back';
  /** Opened with O_DIRECT, or of a file whose pages were dropped from the cache. */
  fd: number;
  chunkBytes: number;
  chunks: readonly FrameChunk[];
}

export interface ReadBackResult {
  plainBytes: number;
  /** Positions of the chunks that read back as something else than was written. */
  mismatches: number[];
}

export type FrameJob = CaptureJob | ApplyJob | ReadBackJob;
export type ResultOf<Job extends FrameJob> = Job extends CaptureJob
  ? CaptureResult
  : Job extends ApplyJob
    ? ApplyResult
    : ReadBackResult;
