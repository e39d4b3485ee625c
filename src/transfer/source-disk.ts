import { basename } from 'node:path';
import type { GuestDefinition } from '../guest/definition.ts';
import { totalLength, type Extent } from '../extent/extents.ts';
import type { ImageSource } from '../image/source/image-source.ts';
import { openImage } from '../image/open-image.ts';
import { probeImage, type ImageLayout } from '../image/probe.ts';
import { usedExtents } from '../image/used-extents.ts';
import type { DiskAccount } from './disk-account.ts';

/** These take a few MB of memory. */
const MOST_KEPT_EXTENTS = 65_536;

/** An opened disk of a guest, and what is to be read of it. */
export interface SourceDisk extends AsyncDisposable {
  /** Its file name, here and on the new hardware. */
  name: string;
  source: ImageSource;
  layout: ImageLayout;
  /** Computed lazily, if there are many. */
  extents: () => Iterable<Extent>;
  readBytes: number;
  holeBytes: number;
  freeBytes: number;
}

/** Opens the image and finds out what must be read of it, as it is now. Throws openImage's failures. */
export async function openSourceDisk(
  path: string,
  { everyBlock }: { everyBlock: boolean },
): Promise<SourceDisk> {
  const source = await openImage(path);
  try {
    const layout = probeImage(source);
    const extents = keptIfFew(() => usedExtents(source, layout, { everyBlock }));
    const dataBytes = totalLength(source.dataExtents());
    const readBytes = totalLength(extents());
    return {
      // The name in the guest's definition: the file behind a link may have another name.
      name: basename(path),
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

export function diskAccount(disk: SourceDisk, targetDirectory: string): DiskAccount {
  const { readBytes, holeBytes, freeBytes } = disk;
  return {
    source: disk.source.path,
    target: `${targetDirectory}/${disk.name}`,
    sizeBytes: disk.source.sizeBytes,
    readBytes,
    holeBytes,
    freeBytes,
  };
}

/** The definition with its images at their places on the new hardware. */
export function relocate(definition: GuestDefinition, targetDirectory: string): GuestDefinition {
  const disks = definition.disks.map((disk) => ({
    ...disk,
    path: `${targetDirectory}/${basename(disk.path)}`,
  }));
  return { ...definition, disks };
}
