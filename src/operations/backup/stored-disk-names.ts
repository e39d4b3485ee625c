import { basename } from 'node:path';

/** Leaves room for a number, and for the endings of a restore's temporary files. */
const MOST_BYTES = 200;

/**
 * The names under which the images at these paths are stored, in their order: their file names, changed where two are the
 * same, or where a manifest does not allow them (doc/store.md).
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
