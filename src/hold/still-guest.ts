import type { Consistency } from '../guest/consistency.ts';
import type { FileBeside } from '../image/clones/clone.ts';
import type { ImageFormat } from '../image/formats/image-format.ts';

/** How a running guest's images are kept from changing. `clone` makes reflinks: the guest stops for milliseconds. */
export type HoldMethod = 'clone' | 'pause' | 'halt';

export interface HoldOptions {
  /** For each way of halting the guest; only with `halt`. */
  haltTimeoutMs: number;
  forceHalt: boolean;
  /** How long the guest may take to come up again; only with `halt`. */
  bootTimeoutMs: number;
}

/** A disk of a guest. Its content does not change while it is held. */
export interface StillDisk {
  /** The disk's name in the guest's definition. */
  device: string;
  /** The guest's own image. */
  image: string;
  /** The file to read: the image itself, or a clone beside it whose journal was replayed. */
  path: string;
  format: ImageFormat;
  /** That clone; null when the image itself is read. It is removed at the end unless it is handed over. */
  clone: FileBeside | null;
  /** The attributes of the guest's own image at that moment. */
  attributes: { mode: number; uid: number; gid: number; modifiedMs: number };
}

/**
 * A guest whose images do not change until this is disposed of. Disposing removes clones, and lets the guest go on or starts
 * it again, whatever happened meanwhile. Throws Failure `guest-left-down` if the guest could not be started.
 */
export interface StillGuest extends AsyncDisposable {
  /** The guest was running, and is paused or down until this is disposed of. */
  guestWaits: boolean;
  consistency: Consistency;
  /** The images are read as they were at this moment. */
  createdAt: Date;
  /** All disks of the guest's definition, in its order. */
  disks: readonly StillDisk[];
  /** Call it after the last read. Throws Failure `image-in-use` when something wrote to the images meanwhile. */
  refuseChanged(): Promise<void>;
}
