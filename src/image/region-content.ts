import type { FileSystem, FileSystemIdentity } from './file-systems/file-system.ts';
import { fileSystems } from './file-systems.ts';
import { readPartitionTable } from './partitions/partition-table.ts';
import type { ReadAt } from './source/read-at.ts';
import { HEAD_BYTES, TAIL_BYTES, findSignatures, type Signature } from './file-systems/signatures.ts';

/** What a disk, a partition or a logical volume holds. */
export interface RegionContent {
  /**
   * One of `fileSystems`, such as `ext4` or `swap`; or by signature `btrfs`, `lvm2`, `luks`, `md-raid` and others; `ambiguous` when there is more than one; `partition-table` for a disk whose table is not understood;
   * `unknown`.
   */
  kind: string;
  label?: string;
  uuid?: string;
  /** Null for kinds that are not in `fileSystems`. */
  clean: boolean | null;
  /** Bytes in use; null where not known. */
  usedBytes: number | null;
  /** Whether its free blocks are known for certain, and can be left out. */
  skippable: boolean;
  /** Why not skippable, as the end of a sentence that begins with "All allocated blocks are read: ". */
  reason?: string;
}

/** A file system whose free blocks can be left out, or the signature of anything else. */
export type Found = { kind: string } & (
  { fileSystem: FileSystem; identity: FileSystemIdentity } | { fileSystem: null; signature: Signature }
);

/** All that is recognised at the beginning and the end. */
export function identify(read: ReadAt, length: number): Found[] {
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

/** Throws Failure `read-failed` when it cannot be read; no content makes this throw. */
export function contentOf(read: ReadAt, length: number): RegionContent {
  const nothing = { clean: null, usedBytes: null, skippable: false };
  const found = identify(read, length);
  const table = readPartitionTable(read, length);
  const names = found.map(({ kind }) => (kind === 'gpt-copy' ? 'a GPT partition table' : kind));
  if (table.kind !== 'none') names.push('a partition table');
  const [only] = found;
  if (names.length > 1)
    return { ...nothing, kind: 'ambiguous', reason: `it has the signatures of ${names.join(' and of ')}` };
  if (table.kind !== 'none') {
    const reason = table.kind === 'not-understood' ? table.reason : 'it has partitions of its own';
    return { ...nothing, kind: 'partition-table', reason };
  }
  if (only === undefined) return { ...nothing, kind: 'unknown', reason: 'nothing in it was recognised' };
  if (only.kind === 'gpt-copy')
    return { ...nothing, kind: 'partition-table', reason: 'its GPT partition table is damaged' };
  if (only.fileSystem === null)
    return { ...nothing, ...only.signature, reason: 'vmferry cannot tell which of its blocks are free' };
  return fileSystemContent(read, length, only.fileSystem, only.identity);
}

function fileSystemContent(
  read: ReadAt,
  length: number,
  fileSystem: FileSystem,
  { kind, label, uuid, clean, dirtyReason }: FileSystemIdentity,
): RegionContent {
  const region = {
    kind,
    ...(label === '' ? {} : { label }),
    ...(uuid === '' ? {} : { uuid }),
    clean,
  };
  const notSkippable = { ...region, usedBytes: null, skippable: false };
  if (dirtyReason !== null) return { ...notSkippable, reason: dirtyReason };
  const usage = fileSystem.checkUsage(read, length);
  if (!usage.understood) return { ...notSkippable, clean: clean && !usage.isUnclean, reason: usage.reason };
  return { ...region, usedBytes: usage.usedBytes, skippable: true };
}
