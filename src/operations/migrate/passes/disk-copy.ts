import { stat } from 'node:fs/promises';
import { noChunkId } from '../../../chunk/chunk-id.ts';
import { rangesOf } from '../../../chunk/chunk-ranges.ts';
import { ChunkMap } from '../../../chunk/chunk-map.ts';
import { chunkGridFor } from '../../../chunk/chunk-grid.ts';
import { touchedChunks } from '../../../chunk/chunk-marks.ts';
import { totalLength, type Extent } from '../../../extent/extents.ts';
import { Failure } from '../../../failure.ts';
import type { Context } from '../../../events.ts';
import type { FileBeside } from '../../../image/clones/clone.ts';
import { hasComparableContent } from '../../../image/clones/placed-extents.ts';
import { openImage } from '../../../image/open-image.ts';
import { forgetCached } from '../../../image/source/forget-cached.ts';
import type { ImageSource } from '../../../image/source/image-source.ts';
import { extentsToLookAt } from '../../../transfer/differing-chunks.ts';
import { SendProgress } from '../../../transfer/send-progress.ts';
import type { SourceDisk } from '../../../transfer/source-disk.ts';
import { MOST_RANGES } from '../../../wire/messages.ts';
import { formatBytes } from '../../../figures.ts';
import { runStage } from '../../../pipeline/run-stage.ts';
import { surveyThere } from '../line/survey-there.ts';
import { cloneForPass } from './clone-for-pass.ts';
import type { DiskThere } from './chunks-there.ts';
import type { PlacedDisk } from './copied-move.ts';
import { sendOrTake } from './send-or-take.ts';
import type { SpoolSink } from './spool-sink.ts';
import { wirePlace } from './wire-place.ts';
import type { DiskDestination, MoveSending, PlannedPass, RunningPass, VerifiedDisk } from './disk-sending.ts';
import { mayBeTorn } from './torn-tables.ts';
import type { PassBytes } from './pass-report.ts';
import { changedSinceClone, confirmWritten, type CopiedImage } from './find-changes.ts';
import { marksOfLastPass, marksOfPass } from './mark-chunks.ts';

/** One disk on its way to the new hardware, in one pass or several. */
export class DiskCopy implements Disposable {
  readonly place: PlacedDisk;
  readonly #number: number;
  readonly #disk: DiskThere;
  readonly #sizeBytes: number;
  /** What the new hardware has of it. */
  readonly #there: ChunkMap;
  readonly #sending: MoveSending;
  readonly #sink: SpoolSink;
  /** The image as the last pass read it, if that can be compared with the image. */
  #clone: FileBeside | null = null;
  #passCount = 0;
  /** Whether the last pass ended early. */
  #hasBrokenOff = false;
  /** Compressed bytes that were sent, in all passes. */
  sentBytes = 0;

  private constructor(
    place: PlacedDisk,
    number: number,
    sizeBytes: number,
    sending: MoveSending,
    sink: SpoolSink,
  ) {
    this.place = place;
    this.#number = number;
    const { receiver } = sending;
    this.#disk = { receiver, number, path: place.path, isRaw: place.format === 'raw' };
    this.#sizeBytes = sizeBytes;
    this.#there = ChunkMap.shared(chunkGridFor(sizeBytes));
    this.#sending = sending;
    this.#sink = sink;
  }

  /**
   * Begins the disk on the new hardware. If an earlier attempt has left something of it there, finds out what.
   * @param number how many disks were begun before
   */
  static async begin(
    place: PlacedDisk,
    number: number,
    { path, sizeBytes }: Pick<ImageSource, 'path' | 'sizeBytes'>,
    { directory, overwrite, begun }: DiskDestination,
    sending: MoveSending,
    context: Context,
  ): Promise<DiskCopy> {
    const { mode, uid, gid, mtimeMs } = await stat(path);
    const { spool, continued = false } = await sending.receiver.request(
      {
        type: 'open',
        directory,
        ...wirePlace(place),
        ...(overwrite && { overwrite: true }),
        claim: sending.claim,
        ...(begun && { begun: true }),
        sizeBytes,
        chunkBytes: chunkGridFor(sizeBytes).chunkBytes,
        mode: mode & 0o777,
        uid,
        gid,
        modifiedMs: mtimeMs,
      },
      'opened',
      context.signal,
    );
    const copy = new DiskCopy(place, number, sizeBytes, sending, sending.sink(spool));
    if (continued) await copy.#survey(context);
    return copy;
  }

  /** Has the new hardware read what is there of the disk. */
  async #survey(context: Context): Promise<void> {
    const { receiver } = this.#sending;
    const there = this.#there;
    await runStage(
      context,
      'copy',
      `looking at what ${receiver.machine.name} has of ${this.place.path}`,
      () => surveyThere(receiver, this.#number, there, context.signal),
      (plainBytes) => `${formatBytes(plainBytes)} of ${this.place.path} are there already`,
    );
  }

  /** A pass while the guest may write to the image. Ends when the new hardware has read back what was sent. */
  async passWhileItRuns(pass: RunningPass, context: Context): Promise<PassBytes> {
    const { held } = pass;
    const [writtenBefore, sentBefore] = [this.#writtenBytes, this.sentBytes];
    try {
      const passed = await this.#passWhileItRuns(pass, context);
      this.#hasBrokenOff = false;
      return passed;
    } catch (error) {
      if (held !== null || this.#hasBrokenOff || !mayBeTorn(this.place.disk, error)) throw error;
      this.#hasBrokenOff = true;
      context.report({
        type: 'notice',
        message: `This pass over ${this.place.disk.path} ends early: ${error.message}`,
      });
      // What the new hardware has is no longer what that clone has.
      this.#keep(null);
      const changedBytes = this.#writtenBytes - writtenBefore;
      if (changedBytes > 0) await this.#surveyAgain(context);
      return { readBytes: changedBytes, changedBytes, sentBytes: this.sentBytes - sentBefore };
    }
  }

  /** After a pass that broke off, nobody knows how much of it the new hardware has. */
  async #surveyAgain(context: Context): Promise<void> {
    const { receiver } = this.#sending;
    await receiver.request({ type: 'pass', disk: this.#number }, 'passed', context.signal);
    for (let position = 0; position < this.#there.grid.chunkCount; position++)
      this.#there.set(position, noChunkId);
    await this.#survey(context);
  }

  async #passWhileItRuns({ held, written }: RunningPass, context: Context): Promise<PassBytes> {
    const { disk } = this.place;
    const { path } = disk;
    forgetCached(path);
    const clone = held === null ? cloneForPass(path) : null;
    const read = held ?? { ...disk, path: clone?.path ?? path };
    const isComparable = (clone !== null || held !== null) && hasComparableContent(read);
    try {
      await using source = await openImage(read.path, { ...read, isInUse: true, yieldsDisk: true });
      this.#refuseOtherSize(source);
      // What the guest writes during this pass is in the next record.
      const changed = isComparable
        ? await this.#changedSinceClone(source, true, context)
        : this.#writtenChunks(written);
      const marks = marksOfPass(changed, this.#there);
      const extents = () => extentsToLookAt(source, marks, this.#there.grid);
      const passed = await this.#pass(source, { marks, extents, isLast: false }, context);
      const { receiver } = this.#sending;
      await receiver.request({ type: 'pass', disk: this.#number }, 'passed', context.signal);
      this.#keep(clone);
      this.#passCount++;
      this.#sending.chunksThere?.note(this.#disk, this.#there);
      return passed;
    } catch (error) {
      clone?.[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * The pass over the image that no longer changes. Afterwards the new hardware was sent all of it.
   * @param passed null if no pass came before. Else what is there has free blocks beside the bytes in use, and they are read again. `written`: all
   * that the guest wrote since the last pass began; null if that is not known
   */
  async lastPass(
    disk: SourceDisk,
    passed: Pick<RunningPass, 'written'> | null,
    context: Context,
  ): Promise<PassBytes> {
    const { source } = disk;
    this.#refuseOtherSize(source);
    if (passed === null) {
      const marks = marksOfPass(null, this.#there);
      return this.#pass(source, { marks, extents: disk.extents, isLast: true }, context);
    }
    const written = this.#writtenChunks(passed.written);
    const areComparable = this.#clone !== null && hasComparableContent(this.place.disk);
    const changed =
      written === null || areComparable
        ? await this.#changedSinceClone(source, false, context)
        : await confirmWritten(written, this.#copied(source), context);
    const marks = marksOfLastPass(disk.extents(), changed, this.#there);
    const extents = () => extentsToLookAt(source, marks, this.#there.grid);
    return this.#pass(source, { marks, extents, isLast: true }, context);
  }

  /** Has the new hardware make sure that the disk there is what was sent. Throws Failure `verification-failed`. */
  async finish({ source }: SourceDisk, signal: AbortSignal): Promise<VerifiedDisk> {
    const { receiver } = this.#sending;
    const fingerprint = this.#there.fingerprint();
    const { mtimeMs } = await stat(source.path);
    const verified = await receiver.request(
      { type: 'finish', fingerprint, disk: this.#number, modifiedMs: mtimeMs },
      'verified',
      signal,
    );
    if (verified.fingerprint !== fingerprint)
      throw new Failure(
        'verification-failed',
        `The fingerprint of ${this.place.path} on ${receiver.machine.name} differs from the one here.`,
      );
    this.#sending.chunksThere?.note(this.#disk, this.#there);
    const { readBack, warnings } = verified;
    return { fingerprint, readBack, warnings };
  }

  [Symbol.dispose](): void {
    this.#keep(null);
  }

  async #pass(
    source: ImageSource,
    { marks, extents, isLast }: PlannedPass,
    context: Context,
  ): Promise<PassBytes> {
    const { pool, compression, packLimitBytes, receiver, chunksThere } = this.#sending;
    const sink = this.#sink;
    sink.disk = this.#number;
    const writtenBefore = this.#writtenBytes;
    const readBytes = totalLength(extents());
    const progress = new SendProgress('copy', readBytes, context);
    // Also called after the copy, while the rest is read back.
    receiver.onProgress = ({ verifiedBytes: doneBytes }) => {
      if (!isLast) return;
      const totalBytes = Math.max(
        this.#passCount === 0 ? readBytes : 0,
        this.#writtenBytes - writtenBefore,
        doneBytes,
      );
      context.report({
        type: 'progress',
        stage: 'verify',
        doneBytes,
        totalBytes,
        sentBytes: progress.sentBytes,
      });
    };
    const pass = { source, extents, marks, there: this.#there, progress, disk: this.#disk, chunksThere };
    const sending = { pool, compression, sink, packNaming: 'random', packLimitBytes } as const;
    try {
      const emptied = await sendOrTake(pass, sending, context.signal);
      for (const ranges of rangesOf(emptied, MOST_RANGES))
        receiver.send({ type: 'clear', disk: this.#number, ranges });
    } finally {
      this.sentBytes += progress.sentBytes;
    }
    const changedBytes = this.#writtenBytes - writtenBefore;
    return { readBytes, changedBytes, sentBytes: progress.sentBytes };
  }

  /** Plain bytes that were sent, or taken from other disks there. */
  get #writtenBytes(): number {
    return this.#sink.plainBytes + (this.#sending.chunksThere?.takenBytesOf(this.place.path) ?? 0);
  }

  /** What changed since the last pass as clones tell it; null if they do not. */
  async #changedSinceClone(
    source: ImageSource,
    yieldsDisk: boolean,
    context: Context,
  ): Promise<Uint8Array | null> {
    return this.#clone && changedSinceClone(this.#copied(source), this.#clone, yieldsDisk, context);
  }

  /** A record of writes begins with a pass over all of the disk, and this line has to know what that pass has sent. */
  #writtenChunks(written: readonly Extent[] | null): Uint8Array | null {
    if (written === null || this.#passCount === 0 || this.#hasBrokenOff) return null;
    return touchedChunks(written, this.#there.grid);
  }

  #copied(source: ImageSource): CopiedImage {
    return { disk: this.place.disk, source, there: this.#there, pool: this.#sending.pool };
  }

  #keep(clone: FileBeside | null): void {
    this.#clone?.[Symbol.dispose]();
    this.#clone = clone;
  }

  #refuseOtherSize({ path, sizeBytes }: ImageSource): void {
    if (sizeBytes === this.#sizeBytes) return;
    throw new Failure('image-in-use', `${path} changed its size while it was copied.`, {
      advice: 'Find out what resized it, and move it again.',
    });
  }
}
