import koffi from 'koffi';

/**
 * The C library of zstd (zstd.h). Most Linux systems have it, because dpkg, rpm and systemd are linked with it. It
 * works in the caller's memory, so that no memory waits for a garbage collection.
 */
export interface LibZstd {
  /** Writes one frame into `target`, which must have `compressBound` bytes, and returns its size in bytes. */
  compress(target: Uint8Array, plain: Uint8Array, level: number): number;
  /** The same, with a checksum of the content in the frame. */
  compressChecked(target: Uint8Array, plain: Uint8Array, level: number): number;
  /** Unpacks into `target`, and returns the size in bytes; null when that fails. */
  decompress(target: Uint8Array, source: Uint8Array): number | null;
  /** The largest size of a frame of `plainBytes` plain bytes. */
  compressBound(plainBytes: number): number;
}

/** ZSTD_cParameter */
const COMPRESSION_LEVEL = 100;
const CHECKSUM_FLAG = 201;

type NativeCall = (...args: readonly (Uint8Array | number)[]) => number;

/** Null if the system has no usable library. */
export function loadLibZstd(): LibZstd | null {
  // Node 22 and later contain a zstd of their own; without RTLD_DEEPBIND this library would call into it.
  if (process.versions['zstd'] !== undefined && !isGlibc()) return null;
  let library: ReturnType<typeof koffi.load>;
  try {
    library = koffi.load('libzstd.so.1', { deep: true });
  } catch {
    return null;
  }
  // Declared as signed: an error is a size_t just below zero.
  const compress = library.func(
    'int64_t ZSTD_compress(void *dst, size_t dstCapacity, const void *src, size_t srcSize, int level)',
  ) as NativeCall;
  const decompress = library.func(
    'int64_t ZSTD_decompress(void *dst, size_t dstCapacity, const void *src, size_t srcSize)',
  ) as NativeCall;
  const createContext = library.func('void *ZSTD_createCCtx()') as () => unknown;
  const setParameter = library.func(
    'int64_t ZSTD_CCtx_setParameter(void *context, int parameter, int value)',
  ) as (context: unknown, parameter: number, value: number) => number;
  const compress2 = library.func(
    'int64_t ZSTD_compress2(void *context, void *dst, size_t dstCapacity, const void *src, size_t srcSize)',
  ) as (context: unknown, ...args: readonly (Uint8Array | number)[]) => number;
  /** Made at first use, and kept as long as the thread. */
  let context: unknown = null;
  const compressBound = library.func('int64_t ZSTD_compressBound(size_t srcSize)') as NativeCall;
  return {
    compress(target, plain, level) {
      const sizeBytes = compress(target, target.length, plain, plain.length, level);
      if (sizeBytes < 0) throw new Error(`ZSTD_compress: error ${-sizeBytes}`);
      return sizeBytes;
    },
    compressChecked(target, plain, level) {
      context ??= createContext();
      setParameter(context, COMPRESSION_LEVEL, level);
      setParameter(context, CHECKSUM_FLAG, 1);
      const sizeBytes = compress2(context, target, target.length, plain, plain.length);
      if (sizeBytes < 0) throw new Error(`ZSTD_compress2: error ${-sizeBytes}`);
      return sizeBytes;
    },
    decompress(target, source) {
      const sizeBytes = decompress(target, target.length, source, source.length);
      return sizeBytes < 0 ? null : sizeBytes;
    },
    compressBound: (plainBytes) => compressBound(plainBytes),
  };
}

/** Only glibc has RTLD_DEEPBIND, which binds a library's names to its own functions first. */
function isGlibc(): boolean {
  try {
    koffi.load(null).func('const char *gnu_get_libc_version()');
    return true;
  } catch {
    return false;
  }
}
