import { basename } from 'node:path';

/** Leaves room for what is appended to it: a number, and what a restore names its files by while it works. */
const MOST_BYTES = 200;

/**
 * The names by which the images at these paths are kept, in their order: their file names, but no two the same, and
 * such as a manifest may have (doc/store.md) and a restore can make files of.
 */
export function storedDiskNames(paths: readonly string[]): string[] {
  const names: string[] = [];
  for (const path of paths) {
    const plain = basename(path)
      .replaceAll(/\p{Cc}/gu, '_')
      .replace(/^\.+/, '');
    const stem = plain === '' ? 'disk' : plain;
    let name = stem;
    for (let number = 2; names.includes(name); number++) name = `${beginning(stem)}-${number}`;
    names.push(name);
  }
  return names;
}

function beginning(name: string): string {
  let short = name;
  while (Buffer.byteLength(short) > MOST_BYTES) short = Array.from(short).slice(0, -1).join('');
  return short;
}
