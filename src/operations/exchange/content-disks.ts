import { PIECE_BYTES } from '../../archive/write-archive.ts';
import type { Context } from '../../events.ts';
import type { StillGuest } from '../../hold/still-guest.ts';
import { readExactlyInto } from '../../image/formats/raw/read-exactly.ts';
import { targetNameOf } from '../../image/target/target-format.ts';
import type { Resources } from '../../pipeline/resources.ts';
import { tellOfGuestImage } from '../../transfer/container-notices.ts';
import { warnOfDoubtfulFileSystems, warnOfUnknownFileSystems } from '../../transfer/file-system-warnings.ts';
import { openSourceDisk, type SourceDisk } from '../../transfer/source-disk.ts';
import { archivedNames, type ContentDisk } from './write-export.ts';

/**
 * Opens the disks of a guest that stands still. Tells of file systems whose free blocks are not known.
 * @param held disposes of them
 */
export async function openContentDisks(
  still: Pick<StillGuest, 'disks'>,
  { everyBlock, toldSnapshots = [] }: { everyBlock: boolean; toldSnapshots?: readonly string[] | undefined },
  held: Resources,
  context: Context,
): Promise<ContentDisk[]> {
  const names = archivedNames(
    still.disks.map(({ image, format, imageFormat }) =>
      targetNameOf({ path: image, format: imageFormat ?? format }, 'raw'),
    ),
  );
  const opened: ContentDisk[] = [];
  for (const [index, one] of still.disks.entries()) {
    const disk = held.hold(await openSourceDisk(one, { everyBlock }));
    tellOfGuestImage(one, disk, context, toldSnapshots);
    if (!everyBlock) {
      warnOfUnknownFileSystems(disk, context);
      warnOfDoubtfulFileSystems(disk, context);
    }
    opened.push(contentDisk(names[index] ?? '', one.device, disk));
  }
  return opened;
}

function contentDisk(name: string, device: string, disk: SourceDisk): ContentDisk {
  const { source, extents, holeBytes, freeBytes, readBytes } = disk;
  const memory = Buffer.allocUnsafeSlow(PIECE_BYTES);
  return {
    name,
    device,
    sizeBytes: source.sizeBytes,
    holeBytes,
    freeBytes,
    readBytes,
    extents,
    read: (offset, length) => readExactlyInto(memory.subarray(0, length), source.path, source.fd, offset),
  };
}
