import type { Stats } from 'ssh2';

/** What a server says about a file. In version 3 it may leave out any of this (filexfer-02, 5). */
export interface FileFacts {
  kind: 'file' | 'folder' | 'link' | 'other' | null;
  sizeBytes: number | null;
  /** In milliseconds since 1970; whole seconds. */
  modifiedMs: number | null;
}

/** File types, in the mode bits of POSIX and in the first letter of `ls -l`. */
const TYPE_MASK = 0o170000;
const kindByType: Readonly<Record<number, FileFacts['kind']>> = {
  0o100000: 'file',
  0o040000: 'folder',
  0o120000: 'link',
};
const kindByLetter: Readonly<Record<string, FileFacts['kind']>> = { '-': 'file', d: 'folder', l: 'link' };

/** @param longName the line of `ls -l` that comes with a name in a listing */
export function factsOf(attributes: Partial<Stats>, longName = ''): FileFacts {
  const { mode, size, mtime } = attributes;
  return {
    kind:
      mode === undefined
        ? (kindByLetter[longName.charAt(0)] ?? null)
        : (kindByType[mode & TYPE_MASK] ?? 'other'),
    sizeBytes: size ?? null,
    modifiedMs: mtime === undefined ? null : mtime * 1000,
  };
}
