import { closeSync, openSync, readSync } from 'node:fs';

const READ_BYTES = 1024;
/** gzip, bzip2, xz, lzma, lzo, lz4, zstd: xl unpacks them. */
const compressed = ['1f8b', '425a68', 'fd377a585a00', '5d0000', '894c5a', '02214c18', '28b52ffd'];

/**
 * Whether a program for x86-64 runs on this kernel; null if that is not known. For a file that is not a kernel the answer is true: the
 * probe then gives it to xl, whose error message says what is wrong. Formats: elf(5), and Documentation/arch/x86/boot.rst in Linux.
 */
export function runsX86_64(kernel: string): boolean | null {
  const header = startOf(kernel);
  if (header.toString('latin1', 0, 4) === '\x7FELF') return header.readUInt16LE(18) === 62;
  if (header.toString('latin1', 0x202, 0x206) === 'HdrS') {
    // XLF_KERNEL_64 is in images since Linux 3.8. Earlier ones do not tell.
    const tells = header.readUInt16LE(0x206) >= 0x02_0c;
    return tells ? (header.readUInt16LE(0x236) & 1) === 1 : null;
  }
  return compressed.some((magic) => header.toString('hex').startsWith(magic)) ? null : true;
}

/** Zeroes after the end of the file. */
function startOf(path: string): Buffer {
  const header = Buffer.alloc(READ_BYTES);
  const fd = openSync(path, 'r');
  try {
    readSync(fd, header, 0, READ_BYTES, 0);
  } finally {
    closeSync(fd);
  }
  return header;
}
