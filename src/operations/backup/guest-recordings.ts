import { Failure } from '../../failure.ts';
import {
  isViewingDriver,
  type RecordingRequest,
  type RunningGuest,
  type ViewingDriver,
} from '../../guest/guest-driver.ts';
import { requireDriver } from '../../guest/require-driver.ts';
import type { StillGuest } from '../../hold/still-guest.ts';
import type { EarlierMaps, UnchangedChunks } from '../../transfer/unchanged-chunks.ts';
import { unwrittenChunks } from '../../transfer/unwritten-chunks.ts';
import type { SourceDisk } from '../../transfer/source-disk.ts';
import type { KnownChunks } from '../../chunk/known-chunks.ts';
import type { GuestBackupJob } from './options.ts';
import type { RecordedDisk, RecordingNote } from '../../repository/recording-notes.ts';

/**
 * What a guest's hypervisor has recorded of its writes since the last snapshot in this store, and the recording that begins with the next
 * one (doc/second-pass.md). Disposing ends all recordings for this store except the one that is to be used next.
 */
export class GuestRecordings implements AsyncDisposable {
  readonly #job: GuestBackupJob;
  readonly #driver: ViewingDriver;
  readonly #running: RunningGuest;
  readonly #earlier: RecordingNote | null;
  /** The recording that the next backup may use. */
  #kept: string | null;
  #hasBegun = false;

  private constructor(
    job: GuestBackupJob,
    driver: ViewingDriver,
    running: RunningGuest,
    earlier: RecordingNote | null,
  ) {
    this.#job = job;
    this.#driver = driver;
    this.#running = running;
    this.#earlier = earlier;
    this.#kept = earlier?.recording ?? null;
  }

  /** Null when nothing is recorded of this guest. With `--no-clone`, its recordings for this store are ended. */
  static async open(job: GuestBackupJob): Promise<GuestRecordings | null> {
    const { guest, store, options, dependencies } = job;
    const { running, definition } = guest;
    if (running === null || options.hold === 'halt' || options.everyBlock) return null;
    const driver = requireDriver(dependencies.drivers, definition.driver);
    if (!isViewingDriver(driver)) return null;
    const { recordings } = dependencies;
    if (!options.keepClones) {
      await recordings.forget(definition.name, store.id);
      await driver.endRecordings(running, store.id, null);
      return null;
    }
    const note = await recordings.recall(definition.name, store.id);
    return new GuestRecordings(job, driver, running, note?.run === running.identity.id ? note : null);
  }

  /** What the view of the guest's disks has to record. */
  get request(): RecordingRequest {
    return { owner: this.#job.store.id, since: this.#kept };
  }

  /** Takes over what has begun with the view. */
  begun({ recording }: StillGuest): void {
    this.#hasBegun = recording !== undefined;
  }

  /**
   * Finds the chunks of a disk that are known to be as in the last snapshot; null when nothing is known.
   * @param index of the disk in the definition
   * @param usage `chunkUsage` of the disk
   */
  async findUnchanged(
    { recording }: StillGuest,
    { index, disk, usage }: { index: number; disk: SourceDisk; usage: Uint8Array },
    { maps, known, signal }: { maps: EarlierMaps; known: KnownChunks; signal: AbortSignal },
  ): Promise<UnchangedChunks | null> {
    const written = recording?.written[index] ?? null;
    const then = this.#earlier?.disks[index];
    const { sizeBytes } = disk.source;
    if (written === null || this.#earlier === null || this.#kept === null) return null;
    if (then === undefined || then.sizeBytes !== sizeBytes || then.usage.length !== usage.length) return null;
    const { storeId, snapshotId } = this.#earlier;
    try {
      const earlier = await maps.find(
        { storeId, snapshotId, fingerprint: then.fingerprint },
        sizeBytes,
        signal,
      );
      if (earlier === null) return null;
      const capture = { map: await earlier.read(), usage: then.usage, written };
      const unwritten = unwrittenChunks({ used: disk.extents(), usage }, capture, known);
      return { ...unwritten, distrust: () => this.#distrust(disk.name) };
    } catch (error) {
      signal.throwIfAborted();
      // The disk can still be read.
      if (!(error instanceof Failure) || error.code === 'internal') throw error;
      return null;
    }
  }

  #distrust(disk: string): string {
    this.#kept = null;
    return `${disk} has changed where its hypervisor has recorded no change: something else has written to it. All of it is read.`;
  }

  /** The snapshot is published: from now on, the next backup may use what has been recorded since its instant. */
  async keep({ recording }: StillGuest, disks: readonly RecordedDisk[], snapshotId: string): Promise<void> {
    const { guest, store, dependencies } = this.#job;
    if (recording === undefined) return;
    const note = {
      guest: guest.definition.name,
      storeId: store.id,
      run: this.#running.identity.id,
      recording: recording.id,
      snapshotId,
      disks,
    };
    try {
      await dependencies.recordings.keep(note);
      this.#kept = recording.id;
    } catch (error) {
      // The snapshot counts. The next backup compares with an earlier one, or reads everything.
      if (!(error instanceof Failure)) throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#hasBegun) await this.#driver.endRecordings(this.#running, this.#job.store.id, this.#kept);
  }
}
