import koffi from 'koffi';

/**
 * The C library of zstd (zstd.h), as most Linux systems have it: dpkg, rpm and systemd are linked with it. It works in
 * memory that the caller owns, so that nothing waits for a garbage collection.
 */
export interface LibZstd {
  /** The bytes of the one frame that it writes into `target`, which must have `compressBound` bytes. */
  compress(target: Uint8Array, plain: Uint8Array, level: number): number;
  /** The bytes that it writes into `target`; null where the source cannot be unpacked into it. */
  decompress(target: Uint8Array, source: Uint8Array): number | null;
  /** The most bytes that a frame of so many plain bytes can have. */
  compressBound(plainBytes: number): number;
}

type NativeCall = (...args: readonly (Uint8Array | number)[]) => number;

/** Null where the system has none that could be used. */
export function loadLibZstd(): LibZstd | null {
  // Node 22 and later have a zstd of their own inside, whose functions this library's would call instead of their own.
  if (process.versions['zstd'] !== undefined && !isGlibc()) return null;
  let library: ReturnType<typeof koffi.load>;
  try {
    library = koffi.load('libzstd.so.1', { deep: true });
  } catch {
    return null;
  }
  // Declared as signed: what it answers for an error is a size_t just below zero.
  const compress = library.func(
    'int64_t ZSTD_compress(void *dst, size_t dstCapacity, const void *src, size_t srcSize, int level)',
  ) as NativeCall;
  const decompress = library.func(
    'int64_t ZSTD_decompress(void *dst, size_t dstCapacity, const void *src, size_t srcSize)',
  ) as NativeCall;
  const compressBound = library.func('int64_t ZSTD_compressBound(size_t srcSize)') as NativeCall;
  return {
    compress(target, plain, level) {
      const sizeBytes = compress(target, target.length, plain, plain.length, level);
      if (sizeBytes < 0) throw new Error(`ZSTD_compress: error ${-sizeBytes}`);
      return sizeBytes;
    },
    decompress(target, source) {
      const sizeBytes = decompress(target, target.length, source, source.length);
      return sizeBytes < 0 ? null : sizeBytes;
    },
    compressBound: (plainBytes) => compressBound(plainBytes),
  };
}

/** Only glibc can bind a library's names to its own functions first (RTLD_DEEPBIND). */
function isGlibc(): boolean {
  try {
    koffi.load(null).func('const char *gnu_get_libc_version()');
    return true;
  } catch {
    return false;
  }
}
