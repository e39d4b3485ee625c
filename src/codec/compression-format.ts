/** How an archive or an image is compressed. */
export const compressionFormats = ['zstd', 'gzip', 'bzip2', 'xz', 'none'] as const;
export type CompressionFormat = (typeof compressionFormats)[number];

const formatByEnding: Readonly<Record<string, CompressionFormat>> = {
  zst: 'zstd',
  gz: 'gzip',
  bz2: 'bzip2',
  xz: 'xz',
};

/** A file name without the ending of a compression, and what that ending says. */
export function splitCompressedName(name: string): { stem: string; format: CompressionFormat } {
  const short = /^(.+)\.t(zst|gz|bz2|xz)$/i.exec(name);
  if (short !== null)
    return { stem: `${short[1]}.tar`, format: formatByEnding[short[2]?.toLowerCase() ?? ''] ?? 'none' };
  const [, stem = '', ending = ''] = /^(.+)\.(zst|gz|bz2|xz)$/i.exec(name) ?? [];
  return stem === ''
    ? { stem: name, format: 'none' }
    : { stem, format: formatByEnding[ending.toLowerCase()] ?? 'none' };
}

const magics: readonly (readonly [CompressionFormat, readonly number[]])[] = [
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['gzip', [0x1f, 0x8b]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
];

/** Bytes of a stream that tell how it is compressed, and whether it is a tar. */
export const HEAD_BYTES = 512;

/** The compression, by the first bytes of a stream; `none` for anything that is not known. */
export function compressionOf(head: Uint8Array): CompressionFormat {
  // A skippable frame of zstd: 0x184D2A50 to 0x184D2A5F.
  if (((head[0] ?? 0) & 0xf0) === 0x50 && head[1] === 0x2a && head[2] === 0x4d && head[3] === 0x18)
    return 'zstd';
  return magics.find(([, magic]) => magic.every((byte, index) => head[index] === byte))?.[0] ?? 'none';
}

const beginningsOfFiles =
  /^(?:28b52ffd|5.2a4d18|1f8b08|425a683[1-9](?:314159265359|177245385090)|fd377a585a00)/;

/** Whether a file with these first bytes is certainly compressed: more of them are looked at than `compressionOf` needs. */
export function isCompressed(head: Uint8Array): boolean {
  return beginningsOfFiles.test(Buffer.from(head.subarray(0, 10)).toString('hex'));
}

/** Whether a plain stream with these first bytes is a tar (POSIX or GNU). */
export function isTar(head: Uint8Array): boolean {
  return Buffer.from(head.subarray(257, 262)).toString('latin1') === 'ustar';
}
