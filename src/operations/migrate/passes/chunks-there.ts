import { PlacedChunks, type ChunkPlace } from '../../../chunk/placed-chunks.ts';
import type { ChunkMap } from '../../../chunk/chunk-map.ts';
import type { KnownChunks } from '../../../chunk/known-chunks.ts';
import type { TakenFrom } from '../../../wire/messages.ts';
import type { RemoteReceiver } from '../../../wire/remote-receiver.ts';

/** More are not remembered: 64 GiB in chunks of 64 KiB, in 70 MB of memory. */
const MOST_CHUNKS = 2 ** 20;

/** A disk that this command has copied to the new hardware. */
export interface DiskThere {
  /** The one that has it open, or had it. */
  receiver: RemoteReceiver;
  /** Its number there. */
  number: number;
  /** Absolute, on the new hardware. */
  path: string;
  /** Whether its image has the disk's bytes at their places. */
  isRaw: boolean;
}

/**
 * The chunks that the disks of one command have on its new hardware: what another disk has need not be sent again. Nothing relies on it, because
 * a guest may have changed its disk since; the new hardware looks, and what it lacks is sent.
 */
export class ChunksThere {
  /** Those whose chunks are placed, by the number that they were added with; null: forgotten. */
  readonly #disks: (DiskThere | null)[] = [];
  readonly #placed = new PlacedChunks(MOST_CHUNKS);
  /** Disks whose chunks are not placed yet, by path: that is work, which a single disk can do without. */
  readonly #waiting = new Map<string, { disk: DiskThere; map: ChunkMap }>();
  readonly #takenBytes = new Map<string, number>();

  /**
   * Notes a disk that a pass has copied. Over another line it is noted again: it is read by the new receiver then.
   * @param map its chunks; it may change until they are needed
   */
  note(disk: DiskThere, map: ChunkMap): void {
    const number = this.#disks.findIndex((placed) => placed?.path === disk.path);
    if (number < 0) this.#waiting.set(disk.path, { disk, map });
    else this.#disks[number] = disk;
  }

  /**
   * The ids of the chunks of other disks, and of earlier passes over this one; null if there are none. All are on disks that the receiver of
   * this one can read. The others are forgotten: no later receiver can read them before they are noted again.
   */
  knownBeside({ path, receiver }: DiskThere): KnownChunks | null {
    this.#forgetUnreadable(receiver);
    for (const [other, { disk, map }] of this.#waiting) {
      if (other === path) continue;
      this.#waiting.delete(other);
      if (sourceOf(disk, receiver) !== null) this.#placed.add(this.#disks.push(disk) - 1, map);
    }
    return this.#placed.isEmpty ? null : this.#placed.known;
  }

  /** Null if that is not known. */
  placeOf(id: Uint8Array): ChunkPlace | null {
    return this.#placed.placeOf(id);
  }

  /** How the receiver names that disk; null if it cannot read it. */
  sourceFor(receiver: RemoteReceiver, disk: number): TakenFrom | null {
    const there = this.#disks[disk] ?? null;
    return there && sourceOf(there, receiver);
  }

  /** Plain bytes that were taken for the disk with this path, over all lines. */
  takenBytesOf(path: string): number {
    return this.#takenBytes.get(path) ?? 0;
  }

  noteTaken(path: string, plainBytes: number): void {
    this.#takenBytes.set(path, this.takenBytesOf(path) + plainBytes);
  }

  #forgetUnreadable(receiver: RemoteReceiver): void {
    const unreadable = new Set<number>();
    for (const [number, disk] of this.#disks.entries()) {
      if (disk === null || sourceOf(disk, receiver) !== null) continue;
      this.#disks[number] = null;
      unreadable.add(number);
    }
    if (unreadable.size > 0) this.#placed.forget(unreadable);
  }
}

function sourceOf({ receiver, number, path, isRaw }: DiskThere, reader: RemoteReceiver): TakenFrom | null {
  if (receiver === reader) return { disk: number };
  const grant = receiver.grantOf(path);
  return grant === null || !isRaw ? null : { path, grant };
}
