import type { Context } from '../../../events.ts';
import {
  isRecordingDriver,
  type GuestDriver,
  type HaltOptions,
  type Recording,
  type RecordingDriver,
  type RecordingRequest,
  type RunningGuest,
  type WrittenExtents,
} from '../../../guest/guest-driver.ts';
import { requireDriver } from '../../../guest/require-driver.ts';
import type { ResolvedGuest } from '../../../guest/resolve-guest.ts';
import { hasComparableContent } from '../../../image/clones/placed-extents.ts';

/** Owner of the recordings of moves: one vmferry moves a guest. Stores, which have random ids, are the other owners. */
const MOVES = '0'.repeat(32);

/** What a guest writes to its disks between the passes of a move, as its hypervisor records it. Disposing ends the recording. */
export class WriteRecorder implements AsyncDisposable {
  readonly #guest: RunningGuest;
  readonly #driver: RecordingDriver;
  /** `Recording.id`; null while nothing is recorded. */
  #since: string | null = null;
  /** Whether a notice said that the recording cannot be read. Each pass would repeat it. */
  #isTold = false;

  private constructor(guest: RunningGuest, driver: RecordingDriver) {
    this.#guest = guest;
    this.#driver = driver;
  }

  /** Null if the hypervisor records nothing, or if the file system tells what has changed in all of the guest's images. */
  static async for({
    guest: { definition, running: guest },
    dependencies,
  }: {
    guest: ResolvedGuest;
    dependencies: { drivers: readonly GuestDriver[] };
  }): Promise<WriteRecorder | null> {
    if (guest === null) return null;
    const driver = requireDriver(dependencies.drivers, definition.driver);
    if (!isRecordingDriver(driver)) return null;
    if (guest.definition.disks.every((disk) => hasComparableContent(disk))) return null;
    return (await driver.canRecord(guest)) ? new WriteRecorder(guest, driver) : null;
  }

  /** What continues the recording in another way than `next` does: its result goes to `note`. */
  get request(): RecordingRequest {
    return { owner: MOVES, since: this.#since, isTold: this.#isTold };
  }

  note({ id, written, isUnreadable = false }: Recording): WrittenExtents {
    this.#since = id;
    this.#isTold ||= isUnreadable;
    return written;
  }

  /** What was written since the last call; null if that is not known. To be called before a pass. */
  async next(context: Context): Promise<WrittenExtents | null> {
    const recording = await this.#driver.record(this.#guest, this.request, context);
    if (recording !== null) return this.note(recording);
    this.#since = null;
    return null;
  }

  /** Halts the guest. Returns what it wrote since the last call of `next`; null if that is not known. */
  async halt(options: HaltOptions, context: Context): Promise<WrittenExtents | null> {
    if (this.#since !== null) return this.#driver.haltRecorded(this.#guest, this.request, options, context);
    await this.#driver.halt(this.#guest, options, context);
    return null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#driver.endRecordings(this.#guest, MOVES, null);
  }
}
