import * as zlib from 'node:zlib';
import { createRequire } from 'node:module';
import type * as NodeZstd from '@toondepauw/node-zstd';
import { Failure } from '../failure.ts';
import { loadLibZstd, type LibZstd } from '../system/libzstd.ts';
import { boundedFrame, requireFrame } from './zstd-frame.ts';

/**
 * Compresses a block of bytes into one zstd frame, and back. Synchronous, for worker threads. The result is in `room`,
 * the caller's memory, if that is large enough: this saves new memory.
 */
export interface Zstd {
  name: 'libzstd' | 'node-zstd' | 'node:zlib';
  compress(plain: Uint8Array, level: number, room?: Uint8Array): Uint8Array;
  /** The same, with a checksum of the content in the frame, unless the implementation makes none (node-zstd). */
  compressChecked(plain: Uint8Array, level: number, room?: Uint8Array): Uint8Array;
  /** Unpacks a frame. Throws Failure `pack-damaged` when it cannot be unpacked, or not to exactly `plainBytes` bytes. */
  decompress(frame: Uint8Array, plainBytes: number, room?: Uint8Array): Uint8Array;
}

/** The zstd of node:zlib, from Node 22.15 on; the types of Node 20 lack it. */
interface ZlibWithZstd {
  zstdCompressSync(data: Uint8Array, options: { chunkSize: number; params: Record<number, number> }): Buffer;
  zstdDecompressSync(data: Uint8Array, options: { chunkSize: number; maxOutputLength: number }): Buffer;
  constants: { ZSTD_c_compressionLevel: number; ZSTD_c_checksumFlag: number };
}

/** The size of the pieces in which node:zlib collects its output; its default of 16 KiB is slower. */
const OUTPUT_PIECE_BYTES = 128 * 1024;

function hasZstd(candidate: object): candidate is ZlibWithZstd {
  return 'zstdCompressSync' in candidate && 'zstdDecompressSync' in candidate;
}

/**
 * The best implementation on this machine (doc/decisions/0003-the-systems-zstd-first.md); loads no other. Throws Failure
 * `internal` when there is none.
 */
export function bestZstd(): Zstd {
  for (const zstd of zstdImplementations()) return zstd;
  throw new Failure('internal', 'No zstd library was found.', {
    advice: 'Install the zstd library of your system (libzstd1, libzstd), or use Node 22.15 or later.',
  });
}

/** All implementations on this machine, the best first. */
export function* zstdImplementations(): Iterable<Zstd> {
  const library = loadLibZstd();
  if (library !== null) yield zstdOfLibrary(library);
  const addon = loadAddon();
  if (addon !== null) yield zstdOfAddon(addon);
  if (hasZstd(zlib)) yield zstdOfNode(zlib);
}

/** Null if the addon is not compiled for this platform. */
function loadAddon(): typeof NodeZstd | null {
  try {
    return createRequire(import.meta.url)('@toondepauw/node-zstd') as typeof NodeZstd;
  } catch {
    return null;
  }
}

function zstdOfLibrary(library: LibZstd): Zstd {
  return {
    name: 'libzstd',
    compress(plain, level, room) {
      const target = roomFor(library.compressBound(plain.length), room);
      return target.subarray(0, library.compress(target, plain, level));
    },
    compressChecked(plain, level, room) {
      const target = roomFor(library.compressBound(plain.length), room);
      return target.subarray(0, library.compressChecked(target, plain, level));
    },
    decompress(frame, plainBytes, room) {
      requireFrame(frame, plainBytes);
      // The library never writes beyond its target, whatever the blocks hold.
      const target = roomFor(plainBytes, room).subarray(0, plainBytes);
      const sizeBytes = library.decompress(target, frame);
      if (sizeBytes === null) throw new Failure('pack-damaged', 'A zstd frame cannot be unpacked.');
      return requireSize(target.subarray(0, sizeBytes), plainBytes);
    },
  };
}

function roomFor(sizeBytes: number, room: Uint8Array | undefined): Uint8Array {
  return room !== undefined && room.length >= sizeBytes ? room : Buffer.allocUnsafeSlow(sizeBytes);
}

function zstdOfNode(node: ZlibWithZstd): Zstd {
  return {
    name: 'node:zlib',
    compress: (plain, level) =>
      node.zstdCompressSync(plain, {
        chunkSize: OUTPUT_PIECE_BYTES,
        params: { [node.constants.ZSTD_c_compressionLevel]: level },
      }),
    compressChecked: (plain, level) =>
      node.zstdCompressSync(plain, {
        chunkSize: OUTPUT_PIECE_BYTES,
        params: { [node.constants.ZSTD_c_compressionLevel]: level, [node.constants.ZSTD_c_checksumFlag]: 1 },
      }),
    decompress: (frame, plainBytes) =>
      unpack(frame, plainBytes, (bounded) =>
        // A little more room than needed, because node:zlib makes another buffer when one is full.
        node.zstdDecompressSync(bounded, { chunkSize: plainBytes + 64, maxOutputLength: plainBytes }),
      ),
  };
}

function zstdOfAddon({ Encoder, Decoder }: typeof NodeZstd): Zstd {
  const encoders = new Map<number, NodeZstd.Encoder>();
  const decoder = new Decoder();
  const compress = (plain: Uint8Array, level: number) => {
    const encoder = encoders.get(level) ?? new Encoder(level);
    encoders.set(level, encoder);
    return encoder.encodeSync(asBuffer(plain));
  };
  return {
    name: 'node-zstd',
    compress,
    compressChecked: compress,
    decompress: (frame, plainBytes) =>
      unpack(frame, plainBytes, (bounded) => decoder.decodeSync(asBuffer(bounded))),
  };
}

function unpack(
  frame: Uint8Array,
  plainBytes: number,
  decompress: (frame: Uint8Array) => Uint8Array,
): Uint8Array {
  const bounded = boundedFrame(frame, plainBytes);
  let plain: Uint8Array;
  try {
    plain = decompress(bounded);
  } catch (error) {
    throw new Failure('pack-damaged', 'A zstd frame cannot be unpacked.', { cause: error });
  }
  return requireSize(plain, plainBytes);
}

function requireSize(plain: Uint8Array, plainBytes: number): Uint8Array {
  if (plain.length !== plainBytes) {
    throw new Failure('pack-damaged', `A zstd frame holds ${plain.length} bytes instead of ${plainBytes}.`);
  }
  return plain;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
