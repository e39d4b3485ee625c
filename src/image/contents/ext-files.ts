import { Failure } from '../../failure.ts';
import type { Debugfs } from './debugfs.ts';
import type { ExtFile } from './ext-file.ts';

/** No file that vmferry reads in a guest is larger. */
const MOST_BYTES = 4 * 2 ** 20;

/** Whether the path can be given to debugfs as it is: absolute, no blanks, no quotation marks, no `..`. */
export function isPlainPath(path: string): boolean {
  return (
    /^(?:\/[A-Za-z0-9_+:@,-][A-Za-z0-9._+:@,-]*|\/\.[A-Za-z0-9_][A-Za-z0-9._-]*)+$/.test(path) || path === '/'
  );
}

/** Null if there is no such file. A link at the end of the path is not followed; those before it are, within the image. */
export async function statExtFile(debugfs: Debugfs, path: string): Promise<ExtFile | null> {
  if (!isPlainPath(path)) return null;
  const { stdout } = await debugfs.read(`stat ${path}`);
  // The target of a link comes last, so it cannot pretend to be one of these fields.
  const [, inode, type = '', mode = '', flags] =
    /^Inode: (\d+) +Type: (.+?) +Mode: +(\d+) +Flags: 0x([0-9a-f]+)/.exec(stdout) ?? [];
  const [, uid, gid, size] = /^User: +(\d+) +Group: +(\d+) .*?Size: (\d+)$/m.exec(stdout) ?? [];
  const [, links] = /^Links: (\d+) /m.exec(stdout) ?? [];
  if (inode === undefined || size === undefined || links === undefined) return null;
  const known = type === 'regular' || type === 'directory' || type === 'symlink';
  return {
    inode: Number(inode),
    type: known ? type : 'other',
    mode: Number.parseInt(mode, 8) & 0o7777,
    uid: Number(uid),
    gid: Number(gid),
    sizeBytes: Number(size),
    links: Number(links),
    flags: Number.parseInt(flags ?? '0', 16),
    target: type === 'symlink' ? (/^Fast link dest: "(.*)"$/m.exec(stdout)?.[1] ?? null) : null,
  };
}

/** The bytes of a regular file, each as a character (latin1); null if there is none, or if it is too large. */
export async function readExtFile(debugfs: Debugfs, path: string): Promise<string | null> {
  const file = await statExtFile(debugfs, path);
  if (file === null || file.type !== 'regular' || file.sizeBytes > MOST_BYTES) return null;
  const content = await debugfs.dump(file.inode);
  if (content.length < file.sizeBytes)
    throw new Failure('read-failed', `${path} in ${debugfs.place.path} cannot be read.`);
  // What lies in the inode itself (inline data) comes with zero bytes at its end.
  return content.toString('latin1', 0, file.sizeBytes);
}

/** The plain names in a directory, sorted; none if it is not a directory. */
export async function listExtDirectory(debugfs: Debugfs, path: string): Promise<string[]> {
  const directory = await statExtFile(debugfs, path);
  const isListable = directory?.type === 'directory' && directory.sizeBytes <= MOST_BYTES;
  if (directory === null || !isListable) return [];
  const { stdout } = await debugfs.read(`ls -p <${directory.inode}>`);
  const names = stdout.split('\n').flatMap((line) => {
    const [, name] = /^\/\d+\/\d+\/\d+\/\d+\/([A-Za-z0-9][A-Za-z0-9._+:@-]*)\/\d*\/$/.exec(line) ?? [];
    return name === undefined ? [] : [name];
  });
  return names.toSorted();
}
