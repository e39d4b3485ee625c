import type { FileSystem, FileSystemIdentity } from './file-systems/file-system.ts';
import { fileSystems } from './file-systems.ts';
import type { ImageSource } from './source/image-source.ts';
import { readPartitionTable } from './partitions/partition-table.ts';
import type { ReadAt } from './source/read-at.ts';
import { HEAD_BYTES, TAIL_BYTES, findSignatures, type Signature } from './file-systems/signatures.ts';

/** The content of the whole disk, or of a partition. */
export interface ImageRegion {
  offset: number;
  length: number;
  /**
   * One of `fileSystems`, such as `ext4` or `swap`; or by signature `btrfs`, `lvm2`, `luks`, `md-raid` and others; `ambiguous` when there is more than one; `partition-table` for a disk whose table is not understood;
   * `unknown`.
   */
  kind: string;
  label?: string;
  uuid?: string;
  /** Null for kinds that are not in `fileSystems`. */
  clean: boolean | null;
  /** Bytes in use in the file system; null where not known. */
  usedBytes: number | null;
  /** Whether its free blocks are known for certain, and can be left out. */
  skippable: boolean;
  /** Why not skippable, as the end of a sentence that begins with "All allocated blocks are read: ". */
  reason?: string;
}

export interface ImageLayout {
  sizeBytes: number;
  /** Sorted and disjoint. The rest of the disk (partition tables, gaps) is data. */
  regions: readonly ImageRegion[];
}

/** Reads a region of the image as a disk of its own. */
export function regionReader(source: Pick<ImageSource, 'read'>, start: number): ReadAt {
  return (offset, length) => source.read(start + offset, length);
}

/**
 * Finds the file systems in an image, and reads all that they say about free blocks. Throws Failure `read-failed` when
 * the image cannot be read; no content of it makes this throw.
 */
export function probeImage(source: Pick<ImageSource, 'read' | 'sizeBytes'>): ImageLayout {
  const { sizeBytes } = source;
  const read = regionReader(source, 0);
  const table = readPartitionTable(read, sizeBytes);
  const onWholeDisk = identify(read, sizeBytes);
  const partitioned = table.kind === 'mbr' || table.kind === 'gpt';
  // The copy of a valid GPT belongs to that GPT.
  const others = onWholeDisk.filter(({ kind }) => !(table.kind === 'gpt' && kind === 'gpt-copy'));
  if (!partitioned || others.length > 0) return { sizeBytes, regions: [probeRegion(read, 0, sizeBytes)] };
  return {
    sizeBytes,
    regions: table.partitions.map(({ offset, length }) =>
      probeRegion(regionReader(source, offset), offset, length),
    ),
  };
}

/** A file system whose free blocks can be left out, or the signature of anything else. */
type Found = { kind: string } & (
  { fileSystem: FileSystem; identity: FileSystemIdentity } | { fileSystem: null; signature: Signature }
);

function identify(read: ReadAt, length: number): Found[] {
  const headBytes = Math.min(length, HEAD_BYTES);
  const tailBytes = Math.min(length, TAIL_BYTES);
  const head = read(0, headBytes);
  const tail = read(length - tailBytes, tailBytes);
  const known = fileSystems.flatMap((fileSystem): Found[] => {
    const identity = fileSystem.identify(head);
    return identity === null ? [] : [{ kind: identity.kind, fileSystem, identity }];
  });
  const others = findSignatures({ sizeBytes: length, head, tail }).map((signature): Found => ({
    kind: signature.kind,
    fileSystem: null,
    signature,
  }));
  return [...known, ...others];
}

function probeRegion(read: ReadAt, offset: number, length: number): ImageRegion {
  const place = { offset, length, clean: null, usedBytes: null, skippable: false };
  const found = identify(read, length);
  const table = readPartitionTable(read, length);
  const names = found.map(({ kind }) => (kind === 'gpt-copy' ? 'a GPT partition table' : kind));
  if (table.kind !== 'none') names.push('a partition table');
  const [only] = found;
  if (names.length > 1)
    return { ...place, kind: 'ambiguous', reason: `it has the signatures of ${names.join(' and of ')}` };
  if (table.kind !== 'none') {
    const reason = table.kind === 'not-understood' ? table.reason : 'it has partitions of its own';
    return { ...place, kind: 'partition-table', reason };
  }
  if (only === undefined) return { ...place, kind: 'unknown', reason: 'nothing in it was recognised' };
  if (only.kind === 'gpt-copy')
    return { ...place, kind: 'partition-table', reason: 'its GPT partition table is damaged' };
  if (only.fileSystem === null)
    return { ...place, ...only.signature, reason: 'vmferry cannot tell which of its blocks are free' };
  return probeFileSystem(read, place, only.fileSystem, only.identity);
}

function probeFileSystem(
  read: ReadAt,
  place: Pick<ImageRegion, 'offset' | 'length'>,
  fileSystem: FileSystem,
  { kind, label, uuid, clean, dirtyReason }: FileSystemIdentity,
): ImageRegion {
  const region = {
    ...place,
    kind,
    ...(label === '' ? {} : { label }),
    ...(uuid === '' ? {} : { uuid }),
    clean,
  };
  const notSkippable = { ...region, usedBytes: null, skippable: false };
  if (dirtyReason !== null) return { ...notSkippable, reason: dirtyReason };
  const usage = fileSystem.checkUsage(read, place.length);
  if (!usage.understood) return { ...notSkippable, clean: clean && !usage.isUnclean, reason: usage.reason };
  return { ...region, usedBytes: usage.usedBytes, skippable: true };
}
