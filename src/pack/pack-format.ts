import { createHash, randomBytes } from 'node:crypto';

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

/**
 * What names a pack: the SHA-256 of its file, as in a store; or chance, where it lies but for a moment, on its way into an image
 * that is read back chunk by chunk. To hash it there would prove nothing more.
 */
export type PackNaming = 'sha256' | 'random';

export function namePack(bytes: Uint8Array, naming: PackNaming): string {
  return naming === 'sha256' ? packIdOf([bytes]) : randomBytes(32).toString('hex');
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
