/** A file or directory of an archive for the kernel. */
export interface ArchiveEntry {
  /** Relative to the root, without a leading slash. Directories come before the files in them. */
  path: string;
  content: Uint8Array | 'directory';
  isExecutable?: boolean;
}

const directory = 0o040755;
const file = 0o100644;
const program = 0o100755;

/**
 * An archive that the kernel unpacks as an initial RAM disk, or after one if it is appended. Everything in it belongs to
 * root. Format: newc of cpio(5), the kernel's Documentation/driver-api/early-userspace/buffer-format.rst.
 */
export function newcArchive(entries: readonly ArchiveEntry[]): Buffer {
  return Buffer.concat([
    ...entries.map((entry, index) => newcEntry(index + 1, entry)),
    record('TRAILER!!!', { inode: 0, mode: 0 }, new Uint8Array()),
  ]);
}

function newcEntry(inode: number, { path, content, isExecutable = false }: ArchiveEntry): Buffer {
  if (content === 'directory') return record(path, { inode, mode: directory }, new Uint8Array());
  return record(path, { inode, mode: isExecutable ? program : file }, content);
}

function record(path: string, { inode, mode }: { inode: number; mode: number }, content: Uint8Array): Buffer {
  const name = Buffer.from(`${path}\0`);
  const links = 1;
  const fields = [inode, mode, 0, 0, links, 0, content.length, 0, 0, 0, 0, name.length, 0];
  const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`;
  return Buffer.concat([padded(Buffer.concat([Buffer.from(header), name])), padded(content)]);
}

/** Zero bytes up to the next multiple of 4. */
function padded(content: Uint8Array): Buffer {
  return Buffer.concat([content, Buffer.alloc(-content.length & 3)]);
}
