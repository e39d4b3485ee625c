import type { Consistency } from '../guest/consistency.ts';
import type { Recording, RecordingRequest } from '../guest/guest-driver.ts';
import type { FileBeside } from '../image/clones/clone.ts';
import type { ContainerFormat, ImageFormat } from '../image/formats/image-format.ts';

/** How a running guest's images are kept from changing. `clone` makes reflinks: the guest stops for milliseconds. */
export type HoldMethod = 'clone' | 'pause' | 'halt';

export interface HoldOptions {
  /** For each way of halting the guest; only with `halt`. */
  haltTimeoutMs: number;
  forceHalt: boolean;
  /** How long the guest may take to come up again; only with `halt`. */
  bootTimeoutMs: number;
  /** Has what is written to the disks recorded, if its hypervisor shows them while the guest runs. */
  recording?: RecordingRequest | null;
}

/** A disk of a guest. Its content does not change while it is held. */
export interface StillDisk {
  /** The disk's name in the guest's definition. */
  device: string;
  /** The guest's own image. */
  image: string;
  /** The file to read: the image itself, a clone beside it whose journal was replayed, or what the hypervisor shows (`isView`). */
  path: string;
  format: ImageFormat;
  /** The format of the guest's own image, if it is another one than that of the file to read. */
  imageFormat?: ContainerFormat;
  /** See `FormattedImage`. It is not cloned: nothing writes to it. */
  backing?: string;
  /** Whether the file, or one below it, is locked by the guest's hypervisor, or by this process: see `openImage`. */
  isInUse: boolean;
  /** That clone; null when the image itself is read. It is removed at the end unless it is handed over. */
  clone: FileBeside | null;
  /** The attributes of the guest's own image at that moment. */
  attributes: { mode: number; uid: number; gid: number; modifiedMs: number };
}

/** Whether the disk is read as its hypervisor shows it. The guest writes to its image meanwhile. */
export function isView({ clone, path, image }: StillDisk): boolean {
  return clone === null && path !== image;
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
  /** The recording that began at that moment; absent when there is none. */
  recording?: Recording;
  /** Call it after the last read. Throws Failure `image-in-use` when something wrote to the images meanwhile. */
  refuseChanged(): Promise<void>;
}
