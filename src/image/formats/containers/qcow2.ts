import type { BackingReference, ContainerFacts } from './container-facts.ts';
import {
  damagedHeader,
  fieldsAt,
  textOf,
  unsupportedImage,
  type Fields,
  type HeaderFile,
} from './header-file.ts';

/* The header of qcow2: QEMU, docs/interop/qcow2.txt. Numbers are big-endian. */

export const qcow2Magic = '514649fb';

export const VERSION_2_BYTES = 72;
const VERSION_3_BYTES = 104;
const MOST_EXTENSIONS = 64;
/** QEMU takes no longer name. */
const LONGEST_NAME_BYTES = 1023;
const MOST_SNAPSHOTS = 65_536;
const MOST_NAMES = 100;
const SNAPSHOT_BYTES = 40;

const END_OF_EXTENSIONS = 0;
const BACKING_FORMAT = 0xe2792aca;

/** Incompatible features. Dirty reference counts and another kind of compression do not change what is read. */
const CORRUPT = 1n << 1n;
const EXTERNAL_DATA = 1n << 2n;
const KNOWN_FEATURES = 0b11111n;

export function readQcow2(file: HeaderFile): ContainerFacts {
  const { path } = file;
  const header = fieldsAt(file, 0, VERSION_2_BYTES);
  const version = header.u32(4, 'big');
  if (version === 1)
    throw unsupportedImage(
      path,
      'is an image of the first qcow format',
      `Convert it first: qemu-img convert -f qcow -O qcow2 ${path} ${path}.qcow2`,
    );
  if (version !== 2 && version !== 3)
    throw unsupportedImage(
      path,
      `is qcow2 of version ${version}, which is not known`,
      'Use a later vmferry.',
    );
  if (header.u32(32, 'big') !== 0) throw encrypted(path);
  const clusterBits = header.u32(20, 'big');
  if (clusterBits < 9 || clusterBits > 21) throw damagedHeader(path);
  refuseFeatures(path, incompatibleFeatures(file, header));
  const extensionsAt = version === 2 ? VERSION_2_BYTES : fieldsAt(file, 0, VERSION_3_BYTES).u32(100, 'big');
  const snapshotCount = header.u32(60, 'big');
  if (snapshotCount > MOST_SNAPSHOTS) throw damagedHeader(path);
  return {
    sizeBytes: header.u64(24, 'big'),
    backing: readBacking(file, header, { extensionsAt, clusterBytes: 2 ** clusterBits }),
    snapshotCount,
    snapshots: readSnapshotNames(file, header.u64(64, 'big'), snapshotCount),
  };
}

/** What a reader has to know to read the image. @param header its first `VERSION_2_BYTES` */
export function incompatibleFeatures(file: HeaderFile, header: Fields): bigint {
  return header.u32(4, 'big') < 3 ? 0n : fieldsAt(file, 0, VERSION_3_BYTES).bits64(72, 'big');
}

function refuseFeatures(path: string, features: bigint): void {
  if ((features & CORRUPT) !== 0n)
    throw unsupportedImage(
      path,
      'is marked as corrupt',
      `Keep a copy of it, and repair it: qemu-img check -r all ${path}`,
    );
  if ((features & EXTERNAL_DATA) !== 0n)
    throw unsupportedImage(
      path,
      'has its data in another file',
      `Make one file of both: qemu-img convert -f qcow2 -O qcow2 ${path} NEW.qcow2`,
    );
  if ((features & ~KNOWN_FEATURES) !== 0n)
    throw unsupportedImage(path, 'has a feature of qcow2 that is not known', 'Use a later vmferry.');
}

export function encrypted(path: string): ReturnType<typeof unsupportedImage> {
  return unsupportedImage(
    path,
    'is encrypted',
    'Convert it with its key to an image that is not encrypted (qemu-img convert --object secret,…), or read the file itself as raw: --image-format raw',
  );
}

function readBacking(
  file: HeaderFile,
  header: Fields,
  place: { extensionsAt: number; clusterBytes: number },
): BackingReference | null {
  const offset = header.u64(8, 'big');
  const length = header.u32(16, 'big');
  if (offset === 0) return null;
  // The name lies in the first cluster.
  if (length === 0 || length > LONGEST_NAME_BYTES || offset + length > place.clusterBytes)
    throw damagedHeader(file.path);
  const name = textOf(fieldsAt(file, offset, length).bytes(0, length));
  if (name === null) throw damagedHeader(file.path);
  return { name, format: readBackingFormat(file, place) };
}

function readBackingFormat(
  file: HeaderFile,
  { extensionsAt, clusterBytes }: { extensionsAt: number; clusterBytes: number },
): string | null {
  let at = extensionsAt;
  for (let count = 0; count < MOST_EXTENSIONS && at + 8 <= clusterBytes; count++) {
    const extension = fieldsAt(file, at, 8);
    const kind = extension.u32(0, 'big');
    const length = extension.u32(4, 'big');
    if (kind === END_OF_EXTENSIONS) return null;
    if (at + 8 + length > clusterBytes) throw damagedHeader(file.path);
    if (kind === BACKING_FORMAT) return textOf(fieldsAt(file, at + 8, length).bytes(0, length));
    at += 8 + Math.ceil(length / 8) * 8;
  }
  return null;
}

/** As many names as can be read: a damaged table is no reason to refuse a disk that does not need it. */
function readSnapshotNames(file: HeaderFile, tableAt: number, count: number): string[] {
  const names: string[] = [];
  let at = tableAt;
  for (let index = 0; index < Math.min(count, MOST_NAMES); index++) {
    if (at + SNAPSHOT_BYTES > file.sizeBytes) break;
    const entry = fieldsAt(file, at, SNAPSHOT_BYTES);
    const idBytes = entry.u16(12, 'big');
    const nameBytes = entry.u16(14, 'big');
    const namesAt = at + SNAPSHOT_BYTES + entry.u32(36, 'big');
    if (namesAt + idBytes + nameBytes > file.sizeBytes) break;
    const text = fieldsAt(file, namesAt, idBytes + nameBytes);
    const id = textOf(text.bytes(0, idBytes)) ?? '?';
    names.push(textOf(text.bytes(idBytes, nameBytes)) || id);
    at = tableAt + Math.ceil((namesAt + idBytes + nameBytes - tableAt) / 8) * 8;
  }
  return names;
}
