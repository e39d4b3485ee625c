import { performance } from 'node:perf_hooks';
import type { Context } from '../../../events.ts';
import { Failure } from '../../../failure.ts';
import { formatBytes } from '../../../figures.ts';
import type { Extent } from '../../../extent/extents.ts';
import type { DiskDefinition } from '../../../guest/definition.ts';
import type { GuestDriver, HaltOptions, RunningGuest, WrittenExtents } from '../../../guest/guest-driver.ts';
import type { FormattedImage } from '../../../image/formats/image-format.ts';
import { openImage } from '../../../image/open-image.ts';
import { forgetCached } from '../../../image/source/forget-cached.ts';
import type { ImageSource } from '../../../image/source/image-source.ts';
import { refuseChanged, stampFiles } from '../../../image/image-stamp.ts';
import { PACK_LIMIT_BYTES } from '../../../pack/pack.ts';
import { Resources } from '../../../pipeline/resources.ts';
import { runStage } from '../../../pipeline/run-stage.ts';
import { yielding } from '../../../workers/yielding.ts';
import { warnOfDoubtfulFileSystems } from '../../../transfer/file-system-warnings.ts';
import { diskAccount, openSourceDisk } from '../../../transfer/source-disk.ts';
import { ownerClaim } from '../line/owner-claim.ts';
import { ChunksThere } from './chunks-there.ts';
import type { CopiedMove, MovedDisk, PlacedDisk } from './copied-move.ts';
import { HALT_SECONDS, USUAL_BOOT_SECONDS } from './downtime.ts';
import { SpoolSink } from './spool-sink.ts';
import { DiskCopy } from './disk-copy.ts';
import type { MoveSending } from './disk-sending.ts';
import type { PassBytes, PassReport } from './pass-report.ts';
import { isTimeToHalt, predictLastPass } from './when-to-halt.ts';
import type { WriteRecorder } from './write-recorder.ts';

/** Once a line was lost. Small packs compress and travel a little worse, and less is lost with a line. */
const SMALL_PACK_BYTES = 2 ** 20;

/**
 * The copies of all disks of a move, while they are made: in passes while the guest runs, and one after the halt. `useLine` comes first, and again
 * whenever another line took the place of a lost one: what the new hardware has is not sent again then.
 */
export class MoveCopy implements AsyncDisposable {
  readonly passes: PassReport[] = [];
  /** The downtime that was told before the halt; null if the guest was not copied while it ran. */
  predictedDowntimeSeconds: number | null = null;
  readonly #move: CopiedMove;
  readonly #chunksThere: ChunksThere;
  #sending: MoveSending | null = null;
  readonly #copies = new Map<PlacedDisk, DiskCopy>();
  /** Of the current line. */
  readonly #resources = new Resources();
  /** Compressed bytes that went over lost lines. */
  readonly #sentBefore = new Map<PlacedDisk, number>();
  /** The disks that a pass has copied while the guest ran, also over a lost line. */
  readonly #copiedWhileRunning = new Set<PlacedDisk>();
  /** How many of the passes went over lost lines: they tell nothing of the next one. */
  #passesBefore = 0;
  readonly #recorder: WriteRecorder | null;
  /** What the guest wrote between the last pass and its end; null if that is not known. */
  #lastWritten: WrittenExtents | null = null;

  /** @param recorder null if nothing records what the guest writes */
  constructor(move: CopiedMove, recorder: WriteRecorder | null) {
    this.#move = move;
    this.#recorder = recorder;
    this.#chunksThere = move.request.chunksThere ?? new ChunksThere();
  }

  /** Compressed bytes of all disks, over all lines. */
  get sentBytes(): number {
    return this.#move.places.reduce((sum, place) => sum + this.sentBytesOf(place), 0);
  }

  /** Grows when the line has carried something. An idle guest has little to send, but its passes show that the line holds. */
  get progress(): number {
    const { places } = this.#move;
    const takenBytes = places.reduce((sum, { path }) => sum + this.#chunksThere.takenBytesOf(path), 0);
    return this.sentBytes + takenBytes + this.passes.length;
  }

  /** @param signal aborted when the line is lost */
  async useLine(signal: AbortSignal): Promise<void> {
    for (const place of this.#copies.keys()) this.#sentBefore.set(place, this.sentBytesOf(place));
    this.#copies.clear();
    this.#passesBefore = this.passes.length;
    await this.#resources[Symbol.asyncDispose]();
    const { request, dependencies, guest, line } = this.#move;
    const { receiver, connection } = line;
    let sink: SpoolSink | null = null;
    this.#sending = {
      pool: dependencies.pool,
      receiver,
      compression: request.compression,
      claim: ownerClaim(guest.definition),
      // A pack that does not arrive as a whole is sent again.
      packLimitBytes: this.#sending === null ? PACK_LIMIT_BYTES : SMALL_PACK_BYTES,
      chunksThere: receiver.canTake ? this.#chunksThere : null,
      sink: (spool) =>
        (sink ??= this.#resources.hold(new SpoolSink(receiver, connection.store(spool), signal))),
    };
  }

  /** Copies the disks that can be copied while the guest runs, until the rest takes little time. The guest is not touched. `passAgain` goes on. */
  async copyWhileItRuns(context: Context): Promise<void> {
    for (const place of this.#move.places) {
      await using image = await openWhileItRuns(place.disk, context);
      if (image !== null) await this.#begin(place, image, context);
    }
    if (this.#copies.size === 0) return;
    while (!isTimeToHalt(this.passes.slice(this.#passesBefore), this.#move.request.downtimeGoalMs / 1000))
      await this.passAgain(context);
  }

  /** One more pass over the disks that can be copied while the guest runs. Returns its seconds. */
  async passAgain(context: Context): Promise<number> {
    const { guest, dependencies } = this.#move;
    const { name } = guest.definition;
    if (this.#copies.size === 0) return 0;
    const pass = await runStage(
      context,
      'copy',
      `copying ${name} while it runs (pass ${this.passes.length + 1})`,
      async () => {
        const written = (await this.#recorder?.next(context)) ?? null;
        return yielding(dependencies.pool, () => this.#passOver({ written }, context));
      },
      ({ readBytes, changedBytes }) =>
        `pass ${this.passes.length + 1}: ${formatBytes(readBytes)} read, ${formatBytes(changedBytes)} differed`,
    );
    this.passes.push(pass);
    return pass.seconds;
  }

  /** Predicts the downtime, and tells of it. Call it before the halt. */
  tellPrediction({ report }: Context): void {
    const passes = this.passes.slice(this.#passesBefore);
    if (passes.length === 0) return;
    const { changedBytes, seconds } = predictLastPass(passes);
    this.predictedDowntimeSeconds = HALT_SECONDS + USUAL_BOOT_SECONDS + seconds;
    const { name } = this.#move.guest.definition;
    const message = `After the halt, about ${formatBytes(changedBytes)} are left to send (${Math.ceil(seconds)} s). ${name} will be down for about ${Math.ceil(this.predictedDowntimeSeconds)} s.`;
    report({ type: 'notice', message });
  }

  /**
   * A further pass over the disks that `copyWhileItRuns` has copied, as they were at one moment.
   * @param heldOf the image that has the disk's bytes at that moment
   * @param written since the pass before; null if that is not known
   */
  async copyAsHeld(
    heldOf: (disk: DiskDefinition) => FormattedImage,
    written: WrittenExtents | null,
    context: Context,
  ): Promise<void> {
    const pass = await runStage(
      context,
      'copy',
      `copying ${this.#move.guest.definition.name} as it was at one moment`,
      () => this.#passOver({ heldOf, written }, context),
      ({ changedBytes }) => `last pass: ${formatBytes(changedBytes)} differed`,
    );
    this.passes.push(pass);
  }

  async #passOver(
    {
      heldOf,
      written,
    }: { heldOf?: (disk: DiskDefinition) => FormattedImage; written: WrittenExtents | null },
    context: Context,
  ): Promise<PassReport> {
    const startedMs = performance.now();
    const pass = { readBytes: 0, changedBytes: 0, sentBytes: 0 };
    for (const [place, copy] of this.#copies) {
      const held = heldOf?.(place.disk) ?? null;
      add(pass, await copy.passWhileItRuns({ held, written: this.#writtenTo(place, written) }, context));
      this.#copiedWhileRunning.add(place);
    }
    return { ...pass, seconds: (performance.now() - startedMs) / 1000 };
  }

  #writtenTo(place: PlacedDisk, written: WrittenExtents | null): readonly Extent[] | null {
    return written?.[this.#move.guest.definition.disks.indexOf(place.disk)] ?? null;
  }

  /** Halts the guest, by whatever does that, and learns what it wrote until its end. */
  async halt(
    driver: GuestDriver,
    guest: RunningGuest,
    options: HaltOptions,
    context: Context,
  ): Promise<void> {
    if (this.#recorder === null) await driver.halt(guest, options, context);
    else this.#lastWritten = await this.#recorder.halt(options, context);
  }

  /** Copies the rest of all disks, which no longer change, until they are verified there. */
  async copyTheRest(context: Context): Promise<MovedDisk[]> {
    const moved: MovedDisk[] = [];
    const startedMs = performance.now();
    const pass = { readBytes: 0, changedBytes: 0, sentBytes: 0 };
    for (const place of this.#move.places) {
      const { disk, bytes } = await this.#copyRestOf(place, context);
      add(pass, bytes);
      moved.push(disk);
    }
    this.passes.push({ ...pass, seconds: (performance.now() - startedMs) / 1000 });
    return moved;
  }

  async #copyRestOf(place: PlacedDisk, context: Context): Promise<{ disk: MovedDisk; bytes: PassBytes }> {
    const { request, line } = this.#move;
    // After the passes, which have read a device by way of the page cache.
    forgetCached(place.disk.path);
    await using disk = await openSourceDisk(place.disk, request);
    if (!request.everyBlock) warnOfDoubtfulFileSystems(disk, context);
    const { path, container } = disk.source;
    const stamps = await stampFiles([path, ...(container?.backingFiles ?? []).map((file) => file.path)]);
    const copy = this.#copies.get(place) ?? (await this.#begin(place, disk.source, context));
    const passed = this.#copiedWhileRunning.has(place)
      ? { written: this.#writtenTo(place, this.#lastWritten) }
      : null;
    const bytes = await runStage(
      context,
      'copy',
      `copying ${disk.name}`,
      () => copy.lastPass(disk, passed, context),
      () => `copied ${disk.name}`,
    );
    await refuseChanged(stamps, 'Find out what writes to it, and move it again.');
    const { warnings, ...verified } = await runStage(
      context,
      'verify',
      `reading ${disk.name} back on ${line.receiver.machine.name}`,
      () => copy.finish(disk, context.signal),
      () => `${disk.name} reads back as it was sent`,
    );
    for (const warning of warnings) context.report({ type: 'warning', ...warning });
    const bytesThere = {
      sentBytes: this.sentBytesOf(place),
      takenBytes: this.#chunksThere.takenBytesOf(place.path),
    };
    const account = { ...diskAccount(disk, place.path), ...bytesThere, ...verified };
    return { disk: account, bytes };
  }

  /** Begins the disk on the new hardware, or goes on with what is there. */
  async #begin(place: PlacedDisk, image: ImageSource, context: Context): Promise<DiskCopy> {
    if (this.#sending === null) throw new Error('useLine comes first');
    const { directory, request, line } = this.#move;
    const to = { directory, overwrite: request.overwrite, begun: line.begun.includes(place.path) };
    const copy = await DiskCopy.begin(place, this.#copies.size, image, to, this.#sending, context);
    this.#copies.set(place, this.#resources.hold(copy));
    return copy;
  }

  /** The same of one disk. */
  sentBytesOf(place: PlacedDisk): number {
    return (this.#sentBefore.get(place) ?? 0) + (this.#copies.get(place)?.sentBytes ?? 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources[Symbol.asyncDispose]();
  }
}

/** Opens an image that its guest writes to; null, with a notice, if only the halted guest's can be read: such as VHDX, whose log is replayed then. */
async function openWhileItRuns(disk: DiskDefinition, { report }: Context): Promise<ImageSource | null> {
  try {
    return await openImage(disk.path, { ...disk, isInUse: true });
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'image-unsupported') throw error;
    report({ type: 'notice', message: `${error.message} It is copied after the halt.` });
    return null;
  }
}

function add(sum: PassBytes, bytes: PassBytes): void {
  sum.readBytes += bytes.readBytes;
  sum.changedBytes += bytes.changedBytes;
  sum.sentBytes += bytes.sentBytes;
}
