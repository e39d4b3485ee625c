import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readExactly } from '../raw/read-exactly.ts';
import { cowOverlay } from './cow-overlay.ts';
import type { Link } from './backing-chain.ts';

/** The overlay of a copy-on-write file, in a file without a name; null for any other image. The caller closes its descriptor. */
export function makeOverlay({ path, fd, facts }: Link): { fd: number; dataOffset: number } | null {
  if (facts?.cow === undefined) return null;
  const { bitmapOffset, dataOffset } = facts.cow;
  const overlay = openNameless();
  try {
    const readBitmap = (offset: number, length: number) =>
      readExactly(path, fd, bitmapOffset + offset, length);
    for (const { offset, bytes } of cowOverlay(facts.sizeBytes, readBitmap)) writeAll(overlay, bytes, offset);
    return { fd: overlay, dataOffset };
  } catch (error) {
    closeSync(overlay);
    throw error;
  }
}

function openNameless(): number {
  const directory = mkdtempSync(join(tmpdir(), 'vmferry-overlay-'));
  try {
    return openSync(join(directory, 'overlay'), 'wx+', 0o600);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function writeAll(fd: number, bytes: Uint8Array, offset: number): void {
  for (let done = 0; done < bytes.length;)
    done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
}
