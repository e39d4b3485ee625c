import { quoteForShell } from '../../../quote-for-shell.ts';
import type { ContainerFacts } from './container-facts.ts';
import {
  damagedHeader,
  fieldsAt,
  fieldsUpTo,
  textOf,
  unsupportedImage,
  type HeaderFile,
} from './header-file.ts';

/*
 * The copy-on-write file of User Mode Linux: Linux, arch/um/drivers/cow_user.c (struct cow_header_v3, cow_sizes()). Numbers are
 * big-endian. Behind the header lies a bitmap, a bit for each sector, the lowest bit first; behind that the sectors, each
 * at its place on the disk. A sector whose bit is not set is that of the backing file.
 */

/** "OOOM"; "MOOO" is that of a little-endian machine, which only the first version wrote. */
export const umlCowMagics = ['4f4f4f4d', '4d4f4f4f'] as const;

const SECTOR_BYTES = 512;
const NAME_AT = 32;
const NAME_BYTES = 4096;
const HEADER_BYTES = NAME_AT + NAME_BYTES;
/** The kernel aligns to pages. */
const LARGEST_ALIGNMENT_BYTES = 1024 * 1024;
/** The kernel keeps the place of the data in an `int`. */
const LARGEST_DATA_OFFSET = 2 ** 31 - 1;

/** Throws Failure `image-not-a-disk` for a damaged header, and `image-unsupported` for an old version. */
export function readUmlCow(file: HeaderFile): ContainerFacts {
  const { path } = file;
  const head = fieldsAt(file, 0, 8);
  const isLittleEndian = head.hex(0, 4) === umlCowMagics[1];
  const version = head.u32(4, isLittleEndian ? 'little' : 'big');
  if (isLittleEndian || version !== 3) throw oldVersion(path, version);
  const header = fieldsAt(file, 0, HEADER_BYTES);
  const sizeBytes = header.u64(12, 'big');
  const alignment = header.u32(24, 'big');
  // Some 64-bit kernels wrote this version with gaps between the fields, which looks like another size of sectors.
  if (header.u32(20, 'big') !== SECTOR_BYTES || header.u32(28, 'big') !== 0) throw oldVersion(path, version);
  const isAligned = alignment >= SECTOR_BYTES && alignment % SECTOR_BYTES === 0;
  if (!isAligned || alignment > LARGEST_ALIGNMENT_BYTES) throw damagedHeader(path);
  if (sizeBytes === 0 || sizeBytes % SECTOR_BYTES !== 0) throw damagedHeader(path);
  const bitmapOffset = roundUp(HEADER_BYTES, alignment);
  const dataOffset = roundUp(bitmapOffset + Math.ceil(sizeBytes / SECTOR_BYTES / 8), alignment);
  // The kernel makes the file as large as if it held all sectors.
  if (dataOffset > LARGEST_DATA_OFFSET || dataOffset + sizeBytes > file.sizeBytes) throw damagedHeader(path);
  const name = nameIn(header.bytes(NAME_AT, NAME_BYTES));
  if (name === null) throw damagedHeader(path);
  return {
    sizeBytes,
    backing: { name, format: 'raw', madeOver: { sizeBytes, modifiedSeconds: header.u32(8, 'big') } },
    snapshots: [],
    snapshotCount: 0,
    cow: { bitmapOffset, dataOffset },
  };
}

/** Whether the file begins like a copy-on-write file. */
export function isUmlCow(file: HeaderFile): boolean {
  const head = fieldsUpTo(file, 0, 4);
  const magic = head.hex(0, head.length);
  return umlCowMagics.some((one) => one === magic);
}

function nameIn(bytes: Uint8Array): string | null {
  const end = bytes.indexOf(0);
  return end <= 0 ? null : textOf(bytes.subarray(0, end));
}

function roundUp(value: number, step: number): number {
  return Math.ceil(value / step) * step;
}

function oldVersion(path: string, version: number): ReturnType<typeof unsupportedImage> {
  return unsupportedImage(
    path,
    `is a copy-on-write file of User Mode Linux, of a kind that is not read (version ${version})`,
    `Halt its guest, merge it with its backing file, and use the result instead: uml_moo ${quoteForShell(path)} NEW`,
  );
}
