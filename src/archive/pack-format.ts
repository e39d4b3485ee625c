import { createHash } from 'node:crypto';

/* What a pack is made of: doc/formats.md. */

export const FORMAT_MEMBER = 'vmferry-pack';
export const FORMAT_TEXT = 'vmferry-pack 1\n';
/** No table of a frame comes near this. */
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

/** @param suffix of the seal of its store */
export function tableMember(number: number, suffix: string): string {
  return `${memberNumber(number)}.table${suffix}`;
}

export function frameMember(number: number, suffix: string): string {
  return `${memberNumber(number)}.zst${suffix}`;
}

function memberNumber(number: number): string {
  return String(number).padStart(5, '0');
}

/** What a member takes in the tar file: its header, and its content up to a whole block. */
export function memberBytes(contentBytes: number): number {
  return TAR_BLOCK_BYTES * (1 + Math.ceil(contentBytes / TAR_BLOCK_BYTES));
}

/** The most bytes that a frame of so many plain ones has: zstd never makes data this much larger, and sealing adds little. */
export function contentLimitBytes(plainLimitBytes: number): number {
  return 2 * plainLimitBytes;
}
