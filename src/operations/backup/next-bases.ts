import { realpathSync } from 'node:fs';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { baseMadeAt, findBases, keepAsBase, removeBase } from '../../image/clones/base-clone.ts';
import { cloneImage, type FileBeside } from '../../image/clones/clone.ts';
import { hasComparableContent } from '../../image/clones/placed-extents.ts';
import { errorCode } from '../../system/error-code.ts';
import type { CapturedDisk } from './capture-disks.ts';
import { removeLeftClones } from '../../hold/still-disks.ts';
import { isView, type StillDisk } from '../../hold/still-guest.ts';

/** A store without a new backup for this long may never get one again. */
const LONGEST_UNUSED_MS = 30 * 24 * 3600 * 1000;

/** Removes all bases of these images. */
export function removeBases(images: readonly string[]): void {
  for (const base of images.flatMap(findBases)) removeBase(base);
}

/** Removes old bases of these images that are for other stores. */
export function removeOldBases(images: readonly string[], storeId: string, now: Date): void {
  for (const base of images.flatMap(findBases)) {
    const madeAt = baseMadeAt(base);
    const isOld = madeAt !== null && now.getTime() - madeAt.getTime() > LONGEST_UNUSED_MS;
    if (isOld && base.storeId !== storeId) removeBase(base);
  }
}

/**
 * The bases that the next backup will compare with: clones of a guest's images as they are read. They become bases when
 * there is a snapshot of them; otherwise they are removed.
 */
export class NextBases implements Disposable {
  /** By the image's path, links resolved: an image that is used as two disks has one base. */
  readonly #clones = new Map<string, { disk: StillDisk; clone: FileBeside }>();

  /** Takes over the clones that are read. Clones images that are read directly, if possible. */
  take(disks: readonly StillDisk[], context: Context): void {
    for (const disk of disks) {
      if (isView(disk) || !hasComparableContent({ path: disk.image, format: disk.format })) continue;
      const target = realpathSync(disk.image);
      if (this.#clones.has(target)) continue;
      const clone = disk.clone?.handOver() ?? cloneOrNull(disk.image, context);
      if (clone !== null) this.#clones.set(target, { disk, clone });
    }
  }

  /** Makes bases of the clones, and removes the bases of earlier snapshots in that store. */
  keep(captured: readonly CapturedDisk[], storeId: string, snapshotId: string): void {
    for (const { disk, clone } of this.#clones.values()) {
      const fingerprint = captured.find(({ still }) => still === disk)?.report.fingerprint;
      if (fingerprint === undefined) continue;
      try {
        keepAsBase(clone, { storeId, snapshotId, fingerprint });
      } catch (error) {
        if (errorCode(error) === '') throw error;
        continue;
      }
      for (const base of findBases(disk.image))
        if (base.storeId === storeId && base.snapshotId !== snapshotId) removeBase(base);
    }
  }

  [Symbol.dispose](): void {
    for (const { clone } of this.#clones.values()) clone[Symbol.dispose]();
  }
}

function cloneOrNull(image: string, context: Context): FileBeside | null {
  try {
    removeLeftClones(image, context);
    return cloneImage(image);
  } catch (error) {
    if (error instanceof Failure || errorCode(error) !== '') return null;
    throw error;
  }
}
