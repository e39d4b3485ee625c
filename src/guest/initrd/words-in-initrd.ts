import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { scanOutput } from '../../system/children/scan-output.ts';

/** The largest have about 500 MB unpacked. */
const limits = { limitBytes: 2 * 2 ** 30, timeoutMs: 60_000 };

/** What compresses an initial RAM disk, by its first bytes: Linux, lib/decompress.c. */
const programs: readonly { magic: string; program: string; args: readonly string[] }[] = [
  { magic: '1f8b', program: 'gzip', args: ['-dc'] },
  { magic: '28b52ffd', program: 'zstd', args: ['-dcq'] },
  { magic: 'fd377a585a00', program: 'xz', args: ['-dc'] },
  { magic: '02214c18', program: 'lz4', args: ['-dcq'] },
  { magic: '425a68', program: 'bzip2', args: ['-dc'] },
  { magic: '5d0000', program: 'xz', args: ['-dc', '--format=lzma'] },
];

/**
 * Which of the words are in an initial RAM disk: names of files in it, for example. Null if it cannot be unpacked on this
 * machine. It has any number of archives that are not compressed (microcode), then one that may be.
 */
export async function wordsInInitrd(
  initrd: Buffer,
  words: readonly string[],
  signal: AbortSignal,
): Promise<Set<string> | null> {
  const found = new Set<string>();
  const plainBytes = endOfPlainArchives(initrd);
  lookFor(words, found)(initrd.subarray(0, plainBytes));
  const packed = initrd.subarray(plainBytes);
  if (packed.length === 0) return found;
  const head = packed.toString('hex', 0, 8);
  const kind = programs.find(({ magic }) => head.startsWith(magic));
  if (kind === undefined) return null;
  const directory = await mkdtemp(join(tmpdir(), 'vmferry-initrd-'));
  try {
    await writeFile(join(directory, 'packed'), packed, { mode: 0o600 });
    const file = await open(join(directory, 'packed'), 'r');
    try {
      const look = lookFor(words, found);
      const isWhole = await scanOutput(kind.program, kind.args, file.fd, look, { ...limits, signal });
      return isWhole ? found : null;
    } finally {
      await file.close();
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Adds words to `found` as they appear, also across two pieces. */
function lookFor(words: readonly string[], found: Set<string>): (piece: Buffer) => void {
  const longest = Math.max(0, ...words.map((word) => word.length));
  let rest = '';
  return (piece) => {
    const text = rest + piece.toString('latin1');
    for (const word of words) if (text.includes(word)) found.add(word);
    rest = text.slice(-longest);
  };
}

/**
 * Where the archives that are not compressed end, with the zero bytes after them. Format: the kernel's
 * Documentation/driver-api/early-userspace/buffer-format.rst.
 */
function endOfPlainArchives(initrd: Buffer): number {
  const headerBytes = 110;
  const aligned = (offset: number): number => Math.ceil(offset / 4) * 4;
  let offset = 0;
  for (;;) {
    while (initrd[offset] === 0) offset += 1;
    const header = initrd.toString('latin1', offset, offset + headerBytes);
    const [, size, nameSize] = /^07070[12].{48}([0-9A-Fa-f]{8}).{32}([0-9A-Fa-f]{8})/s.exec(header) ?? [];
    if (size === undefined || nameSize === undefined) return Math.min(offset, initrd.length);
    const content = aligned(offset + headerBytes + Number.parseInt(nameSize, 16));
    offset = aligned(content + Number.parseInt(size, 16));
  }
}
