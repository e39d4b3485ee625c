import type { ByteReader } from '../../codec/byte-reader.ts';
import type { CompressionFormat } from '../../codec/compression-format.ts';
import { damagedArchive } from '../../codec/damaged-archive.ts';
import { gunzipped, gzipped } from '../../codec/gzip-stream.ts';
import { Failure } from '../../failure.ts';
import { FilterError, filterThrough } from '../../system/children/filter-program.ts';
import { findProgramOnPath } from '../../system/children/find-program.ts';
import type { Compression } from '../../transfer/compression-level.ts';
import { compressStream } from '../../transfer/compress-stream.ts';
import { decompressStream } from '../../transfer/decompress-stream.ts';
import type { FramePool } from '../../workers/frame-pool.ts';

type Bytes = AsyncIterable<Uint8Array>;
type CommandLine = readonly [string, ...string[]];

export interface FilterDependencies {
  pool: FramePool;
  /** Unpacks bzip2 without a program; slower than any. */
  bunzip: (pieces: Bytes, signal: AbortSignal) => Bytes;
  environment: NodeJS.ProcessEnv;
}

/** Programs that compress from standard input to standard output, the fastest first. */
const compressors: Readonly<Record<'gzip' | 'bzip2' | 'xz', readonly CommandLine[]>> = {
  gzip: [
    ['pigz', '-c'],
    ['gzip', '-c'],
  ],
  bzip2: [
    ['lbzip2', '-c'],
    ['pbzip2', '-c'],
    ['bzip2', '-c'],
  ],
  xz: [['xz', '-c', '-T0']],
};

/** The same for unpacking. */
const unpackers: Readonly<Record<'zstd' | 'bzip2' | 'xz', readonly CommandLine[]>> = {
  zstd: [['zstd', '-d', '-c', '-q']],
  bzip2: [
    ['lbzip2', '-d', '-c'],
    ['pbzip2', '-d', '-c'],
    ['bzip2', '-d', '-c'],
  ],
  xz: [['xz', '-d', '-c', '-T0']],
};

/** Null if none of them is installed. The command line has the program's path. */
function firstInstalled(
  programs: readonly CommandLine[],
  environment: NodeJS.ProcessEnv,
): CommandLine | null {
  for (const [name, ...args] of programs) {
    const path = findProgramOnPath(name, environment);
    if (path !== null) return [path, ...args];
  }
  return null;
}

function programMissing(format: CompressionFormat, programs: readonly CommandLine[]): Failure {
  const names = programs.map(([name]) => name).join(', ');
  const others = format === 'zstd' ? '' : ', or use zstd';
  return new Failure('program-missing', `No program for ${format} is installed: ${names}.`, {
    advice: `Install one of them${others}.`,
  });
}

/** Makes a stream of a tar or an image into a compressed one. A piece is valid until the next one is asked for. */
export type Compressor = (pieces: Bytes, signal: AbortSignal) => Bytes;

/** Throws Failure `program-missing`. */
export function compressorFor(
  format: CompressionFormat,
  compression: Compression,
  { pool, environment }: FilterDependencies,
): Compressor {
  if (format === 'none') return (pieces) => pieces;
  if (format === 'zstd') return (pieces) => compressStream(pieces, { pool, compression });
  const program = firstInstalled(compressors[format], environment);
  if (program !== null) return (pieces, signal) => explained(filterThrough(program, pieces, signal), format);
  if (format === 'gzip') return gzipped;
  throw programMissing(format, compressors[format]);
}

async function* explained(pieces: Bytes, format: CompressionFormat): Bytes {
  try {
    yield* pieces;
  } catch (error) {
    if (!(error instanceof FilterError)) throw error;
    throw new Failure('write-failed', `The program for ${format} failed: ${error.message}.`, {
      cause: error,
    });
  }
}

/** The plain bytes of a compressed stream. Throws Failure `archive-damaged`, and `program-missing` when it is begun. */
export function decompressed(
  format: CompressionFormat,
  reader: ByteReader,
  { pool, bunzip, environment }: FilterDependencies,
  signal: AbortSignal,
): Bytes {
  const unpack = (kind: keyof typeof unpackers, pieces: Bytes): Bytes => {
    const program = firstInstalled(unpackers[kind], environment);
    if (program === null && kind === 'bzip2') return bunzip(pieces, signal);
    if (program === null) throw programMissing(kind, unpackers[kind]);
    return unpackedBy(program, kind, pieces, signal);
  };
  switch (format) {
    case 'none':
      return reader.others();
    case 'gzip':
      return gunzipped(reader.others(), signal);
    case 'zstd':
      return decompressStream(reader, pool, (rest) => unpack('zstd', rest));
    case 'bzip2':
    case 'xz':
      return unpack(format, reader.others());
  }
}

async function* unpackedBy(
  program: CommandLine,
  format: CompressionFormat,
  pieces: Bytes,
  signal: AbortSignal,
): Bytes {
  try {
    yield* filterThrough(program, pieces, signal);
  } catch (error) {
    if (!(error instanceof FilterError)) throw error;
    throw damagedArchive(`cannot be unpacked by ${format}: ${lastLineOf(error.stderr)}`, error);
  }
}

function lastLineOf(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return (lines[0] ?? 'it says nothing').trim().replace(/\.$/, '');
}
