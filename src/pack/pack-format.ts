import { createHash, randomBytes } from 'node:crypto';

/* The parts of a pack: doc/formats.md. */

export const FORMAT_MEMBER = 'vmferry-pack';
export const FORMAT_TEXT = 'vmferry-pack 1\n';
/** No frame's table comes near this size. */
export const TABLE_LIMIT_BYTES = 2 ** 20;
export const TAR_BLOCK_BYTES = 512;
/** Blocks of zeros that end a tar file. */
export const TAR_END_BYTES = 2 * TAR_BLOCK_BYTES;

/** The SHA-256 of the whole file. */
export function packIdOf(parts: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

/**
 * How a pack gets its id: in a store, it is the SHA-256 of its file. In a move it is random: there the chunks are read
 * back from the image and compared, and a hash would prove nothing more.
 */
export type PackNaming = 'sha256' | 'random';

export function namePack(bytes: Uint8Array, naming: PackNaming): string {
  return naming === 'sha256' ? packIdOf([bytes]) : randomBytes(32).toString('hex');
}

/** @param suffix that of the store's seal */
export function tableMember(number: number, suffix: string): string {
  return `${memberNumber(number)}.table${suffix}`;
}

export function frameMember(number: number, suffix: string): string {
  return `${memberNumber(number)}.zst${suffix}`;
}

function memberNumber(number: number): string {
  return String(number).padStart(5, '0');
}

/** The size of a member in the tar file: its header, and its content up to a whole block. */
export function memberBytes(contentBytes: number): number {
  return TAR_BLOCK_BYTES * (1 + Math.ceil(contentBytes / TAR_BLOCK_BYTES));
}

/** An upper limit for the bytes of a frame with this many plain bytes, even if zstd and sealing make it larger. */
export function contentLimitBytes(plainLimitBytes: number): number {
  return 2 * plainLimitBytes;
}
