import { randomBytes } from 'node:crypto';
import { Failure } from '../failure.ts';

/** Throws Failure `internal` for a name that could lead out of the store. */
export function checkStoreName(name: string): void {
  const sound = name
    .split('/')
    .every((part) => part !== '' && part !== '.' && part !== '..' && !part.includes('\0'));
  if (!sound) throw new Failure('internal', `‘${name}’ is not a name in a store.`);
}

/** An unused name in the same folder. Files that a crash leaves behind are recognized by its `.part-`. */
export function temporaryNameFor(name: string): string {
  return `${name}.part-${randomBytes(6).toString('hex')}`;
}

export function isTemporaryName(name: string): boolean {
  return /\.part-[0-9a-f]{12}$/.test(name);
}

/** Whether a name in a server's listing can be used in a request. */
export function isEntryName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name);
}

/** The folders that contain a name, outermost first: `a/b/c` gives `a` and `a/b`. */
export function foldersOf(name: string): string[] {
  const parts = name.split('/').slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'));
}

/** The folder that contains a name (`''`: the store's own directory), and the name within it. */
export function splitName(name: string): { folder: string; base: string } {
  const slash = name.lastIndexOf('/');
  return { folder: name.slice(0, Math.max(slash, 0)), base: name.slice(slash + 1) };
}
