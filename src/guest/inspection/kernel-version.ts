import { closeSync, openSync, readSync } from 'node:fs';

/** The version in the header of an x86 kernel (Documentation/arch/x86/boot.rst: kernel_version); null for another file. */
export function kernelVersion(path: string): string | null {
  const header = Buffer.alloc(32_768);
  try {
    const file = openSync(path, 'r');
    try {
      readSync(file, header, 0, header.length, 0);
    } finally {
      closeSync(file);
    }
  } catch {
    // It is missing, which is told elsewhere, or not ours to read.
    return null;
  }
  return versionInHeader(header);
}

/** The same for the beginning of a kernel: 32 KiB are enough. */
export function versionInHeader(header: Buffer): string | null {
  if (header.length < 0x210 || header.toString('latin1', 0x202, 0x206) !== 'HdrS') return null;
  const start = header.readUInt16LE(0x20e) + 0x200;
  return /^[\w.+~-]{1,128}/.exec(header.toString('latin1', start, start + 128))?.[0] ?? null;
}
