import { basename } from 'node:path';
import type { PlacedDisk } from './copied-move.ts';

/** A disk's place as `check` and `open` name it (doc/wire.md). */
export function wirePlace({ path, isChosen, format }: PlacedDisk): {
  name: string;
  path?: string;
  format?: 'qcow2';
} {
  return { name: basename(path), ...(isChosen && { path }), ...(format === 'qcow2' && { format }) };
}
