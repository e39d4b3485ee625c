import type { Consistency } from '../guest/consistency.ts';
import type { FileBeside } from '../image/clones/clone.ts';

/** How a running guest's images are made to hold still; `clone`: by reflinks, the guest stands for milliseconds. */
export type HoldMethod = 'clone' | 'pause' | 'halt';

export interface HoldOptions {
  /** For each way of halting the guest; only with `halt`. */
  haltTimeoutMs: number;
  forceHalt: boolean;
  /** How long the guest may take to come up again; only with `halt`. */
  bootTimeoutMs: number;
}

/** One disk of a guest whose content does not change now. */
export interface StillDisk {
  /** As the guest's definition names the disk. */
  device: string;
  /** The guest's own image. */
  image: string;
  /** What is to be read: the image itself, or a clone beside it whose journal has been replayed. */
  path: string;
  /** That clone, removed when the guest no longer holds still, unless it is handed over; null: the image itself is read. */
  clone: FileBeside | null;
  /** Of the guest's own image, at the time it was as it is read. */
  attributes: { mode: number; uid: number; gid: number; modifiedMs: number };
}

/**
 * A guest whose images hold still until this is disposed of: that removes clones, lets the guest go on or starts it
 * again, whatever happened meanwhile. It then throws Failure `guest-left-down` when the guest could not be started.
 */
export interface StillGuest extends AsyncDisposable {
  /** The guest ran, and until this is disposed of it does not: it is paused, or down. */
  guestWaits: boolean;
  consistency: Consistency;
  /** When the images were as they are read. */
  createdAt: Date;
  /** All disks of the guest's definition, in its order. */
  disks: readonly StillDisk[];
  /** To be called after the last read. Throws Failure `image-in-use` when something wrote to what was read. */
  refuseChanged(): Promise<void>;
}
