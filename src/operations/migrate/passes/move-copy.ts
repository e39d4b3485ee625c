import { performance } from 'node:perf_hooks';
import type { Context } from '../../../events.ts';
import { formatBytes } from '../../../figures.ts';
import { openImage } from '../../../image/open-image.ts';
import { forgetCached } from '../../../image/source/forget-cached.ts';
import type { ImageSource } from '../../../image/source/image-source.ts';
import { refuseChanged, stampFiles } from '../../../image/image-stamp.ts';
import { Resources } from '../../../pipeline/resources.ts';
import { runStage } from '../../../pipeline/run-stage.ts';
import { warnOfDoubtfulFileSystems } from '../../../transfer/file-system-warnings.ts';
import { diskAccount, openSourceDisk } from '../../../transfer/source-disk.ts';
import type { CopiedMove, MovedDisk, PlacedDisk } from './copied-move.ts';
import { HALT_AND_BOOT_SECONDS } from './downtime.ts';
import { SpoolSink } from './spool-sink.ts';
import { DiskCopy, type MoveSending } from './disk-copy.ts';
import type { PassBytes, PassReport } from './pass-report.ts';
import { whyNotWarm } from './why-not-warm.ts';
import { isTimeToHalt, predictLastPass } from './when-to-halt.ts';

/** The copies of all disks of a move, while they are made: in passes while the guest runs, and one after the halt. */
export class MoveCopy implements AsyncDisposable {
  readonly passes: PassReport[] = [];
  /** The downtime that was told before the halt; null if the guest was not copied while it ran. */
  predictedDowntimeSeconds: number | null = null;
  readonly #move: CopiedMove;
  readonly #sending: MoveSending;
  readonly #copies = new Map<PlacedDisk, DiskCopy>();
  readonly #resources = new Resources();
  #sink: SpoolSink | null = null;

  constructor(move: CopiedMove, signal: AbortSignal) {
    const { request, dependencies, receiver, connection } = move;
    this.#move = move;
    this.#sending = {
      pool: dependencies.pool,
      receiver,
      compression: request.compression,
      sink: (spool) =>
        (this.#sink ??= this.#resources.hold(new SpoolSink(receiver, connection.store(spool), signal))),
    };
  }

  /** Copies the disks that can be copied while the guest runs, until the rest takes little time. The guest is not touched. */
  async copyWhileItRuns(context: Context): Promise<void> {
    const { guest, places } = this.#move;
    const { name } = guest.definition;
    const reasons = places.map(({ disk }) => whyNotWarm(disk));
    const warm = places.filter((_, index) => reasons[index] === null);
    for (const reason of reasons)
      if (reason !== null)
        context.report({ type: 'notice', message: `${reason} It is copied after the halt.` });
    if (warm.length === 0) return;
    for (const place of warm) {
      await using image = await openImage(place.disk.path);
      await this.#begin(place, image, context.signal);
    }
    await this.#passUntilShort(warm, context);
    const { changedBytes, seconds } = predictLastPass(this.passes);
    this.predictedDowntimeSeconds = HALT_AND_BOOT_SECONDS + seconds;
    const message = `After the halt, about ${formatBytes(changedBytes)} are left to send (${Math.ceil(seconds)} s). ${name} will be down for about ${Math.ceil(this.predictedDowntimeSeconds)} s.`;
    context.report({ type: 'notice', message });
  }

  async #passUntilShort(warm: readonly PlacedDisk[], context: Context): Promise<void> {
    const { request, guest } = this.#move;
    const { name } = guest.definition;
    while (!isTimeToHalt(this.passes, request.downtimeGoalMs / 1000)) {
      const number = this.passes.length + 1;
      const pass = await runStage(
        context,
        'copy',
        `copying ${name} while it runs (pass ${number})`,
        () => this.#passOver(warm, context),
        ({ readBytes, changedBytes }) =>
          `pass ${number}: ${formatBytes(readBytes)} read, ${formatBytes(changedBytes)} differed`,
      );
      this.passes.push(pass);
    }
  }

  async #passOver(warm: readonly PlacedDisk[], context: Context): Promise<PassReport> {
    const startedMs = performance.now();
    const pass = { readBytes: 0, changedBytes: 0, sentBytes: 0 };
    for (const place of warm) {
      const done = await this.#copies.get(place)?.passWhileItRuns(context);
      if (done !== undefined) add(pass, done);
    }
    return { ...pass, seconds: (performance.now() - startedMs) / 1000 };
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
    const { request, receiver } = this.#move;
    // After the passes, which have read a device by way of the page cache.
    forgetCached(place.disk.path);
    await using disk = await openSourceDisk(place.disk, request);
    if (!request.everyBlock) warnOfDoubtfulFileSystems(disk, context);
    const { path, container } = disk.source;
    const stamps = await stampFiles([path, ...(container?.backingFiles ?? []).map((file) => file.path)]);
    const copy = this.#copies.get(place) ?? (await this.#begin(place, disk.source, context.signal));
    const bytes = await runStage(
      context,
      'copy',
      `copying ${disk.name}`,
      () => copy.lastPass(disk, context),
      () => `copied ${disk.name}`,
    );
    await refuseChanged(stamps, 'Find out what writes to it, and move it again.');
    const { warnings, ...verified } = await runStage(
      context,
      'verify',
      `reading ${disk.name} back on ${receiver.machine.name}`,
      () => copy.finish(disk, context.signal),
      () => `${disk.name} reads back as it was sent`,
    );
    for (const warning of warnings) context.report({ type: 'warning', ...warning });
    const account = { ...diskAccount(disk, place.path), sentBytes: copy.sentBytes, ...verified };
    return { disk: account, bytes };
  }

  /** Begins the disk on the new hardware. */
  async #begin(place: PlacedDisk, image: ImageSource, signal: AbortSignal): Promise<DiskCopy> {
    const { directory, request } = this.#move;
    const to = { directory, overwrite: request.overwrite };
    const copy = await DiskCopy.begin(place, this.#copies.size, image, to, this.#sending, signal);
    this.#copies.set(place, this.#resources.hold(copy));
    return copy;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources[Symbol.asyncDispose]();
  }
}

function add(sum: PassBytes, bytes: PassBytes): void {
  sum.readBytes += bytes.readBytes;
  sum.changedBytes += bytes.changedBytes;
  sum.sentBytes += bytes.sentBytes;
}
