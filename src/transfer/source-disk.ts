import { basename } from 'node:path';
import type { GuestDefinition } from '../guest/definition.ts';
import { totalLength, type Extent } from '../extent/extents.ts';
import type { ImageSource } from '../image/source/image-source.ts';
import { openImage } from '../image/open-image.ts';
import { probeImage, type ImageLayout } from '../image/probe.ts';
import { usedExtents } from '../image/used-extents.ts';
import type { DiskAccount } from './disk-account.ts';

/** A few MB of memory. */
const MOST_KEPT_EXTENTS = 65_536;

/** A disk of a guest, opened on the old hardware, and what of it is to be read. */
export interface SourceDisk extends AsyncDisposable {
  /** The file name that it has here and is to have on the new hardware. */
  name: string;
  source: ImageSource;
  layout: ImageLayout;
  /** Lazy, where there are many. */
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
      // As the guest names it: behind a link may lie a file of another name.
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

/** What is gone through several times is worked out once, where that takes little memory. */
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
