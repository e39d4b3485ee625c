import { basename } from 'node:path';
import type { GuestDefinition } from '../guest/definition.ts';
import { withImage } from '../guest/disks/with-image.ts';
import { totalLength, type Extent } from '../extent/extents.ts';
import type { FormattedImage } from '../image/formats/image-format.ts';
import type { ImageSource } from '../image/source/image-source.ts';
import { openImage } from '../image/open-image.ts';
import type { TargetFormat } from '../image/target/target-format.ts';
import { probeImage, type ImageLayout } from '../image/probe.ts';
import { usedExtents } from '../image/used-extents.ts';
import type { DiskAccount } from './disk-account.ts';

/** These take a few MB of memory. */
const MOST_KEPT_EXTENTS = 65_536;

/** An opened disk of a guest, and what is to be read of it. */
export interface SourceDisk extends AsyncDisposable {
  /** Its file name in the guest's definition: the file behind a link may have another name. */
  name: string;
  source: ImageSource;
  layout: ImageLayout;
  /** Computed lazily, if there are many. */
  extents: () => Iterable<Extent>;
  readBytes: number;
  holeBytes: number;
  freeBytes: number;
}

/**
 * Opens the image and finds out what must be read of it, as it is now. Throws openImage's failures.
 * @param isInUse see `openImage`
 */
export async function openSourceDisk(
  image: FormattedImage,
  { everyBlock, isInUse = false }: { everyBlock: boolean; isInUse?: boolean },
): Promise<SourceDisk> {
  const source = await openImage(image.path, { ...image, isInUse });
  try {
    const layout = probeImage(source);
    const extents = keptIfFew(() => usedExtents(source, layout, { everyBlock }));
    const dataBytes = totalLength(source.dataExtents());
    const readBytes = totalLength(extents());
    return {
      name: basename(image.path),
      source,
      layout,
      extents,
      readBytes,
      holeBytes: source.sizeBytes - dataBytes,
      freeBytes: dataBytes - readBytes,
      [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
    };
  } catch (error) {
    await source[Symbol.asyncDispose]();
    throw error;
  }
}

/** Computes the extents only once, if they take little memory. */
function keptIfFew(work: () => Iterable<Extent>): () => Iterable<Extent> {
  const kept: Extent[] = [];
  for (const extent of work()) {
    if (kept.length === MOST_KEPT_EXTENTS) return work;
    kept.push(extent);
  }
  return () => kept;
}

/** @param target the path that it gets on the new hardware */
export function diskAccount(disk: SourceDisk, target: string): DiskAccount {
  const { readBytes, holeBytes, freeBytes } = disk;
  return {
    source: disk.source.path,
    target,
    sizeBytes: disk.source.sizeBytes,
    readBytes,
    holeBytes,
    freeBytes,
  };
}

/**
 * The definition with its images at their places, and in their formats, on the new hardware.
 * @param places one for each disk, in the definition's order
 */
export function relocate(
  definition: GuestDefinition,
  places: readonly { path: string; format: TargetFormat }[],
): GuestDefinition {
  const disks = definition.disks.map((disk, index) => {
    const place = places[index];
    return place === undefined ? disk : withImage(disk, place);
  });
  return { ...definition, disks };
}
