import { compressText, decompressText } from '../../../src/codec/compressed-text.ts';
import { noSeal } from '../../../src/seal/seal-for.ts';
import type { MemoryStore } from './memory-store.ts';

/** Replaces an index file of a plain store by one with another text, named by the digest of that text. */
export function editIndex(store: MemoryStore, file: string, edit: (lines: string[]) => void): void {
  const compressed = store.files.get(file) ?? new Uint8Array();
  const lines = decompressText(compressed, 2 ** 24, file).split('\n');
  edit(lines);
  const text = lines.join('\n');
  store.files.delete(file);
  const name = `${noSeal.nameOf(Buffer.from(text))}.zst`;
  store.files.set([...file.split('/').slice(0, -1), name].join('/'), compressText(text));
}

/** Adds to a number in all lines of an index that begin with the given word. */
export function shiftNumber(word: 'frame' | 'chunk', at: 1 | 2, by: number) {
  return (lines: string[]): void => {
    for (const [row, line] of lines.entries()) {
      const parts = line.split(' ');
      if (parts[0] !== word) continue;
      parts[at] = String(Number(parts[at]) + by);
      lines[row] = parts.join(' ');
    }
  };
}
