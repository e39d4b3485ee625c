import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { compressText } from '../../src/codec/compressed-text.ts';
import { noSeal } from '../../src/codec/seal.ts';
import type { GuestFolder } from '../../src/repository/guest-folder.ts';

/**
 * Index files under their right names that are small and unpack to a lot: millions of empty frames of a pack that is
 * there, in each of them.
 */
export function storeSwellingIndexes(
  storePath: string,
  folder: GuestFolder,
  pack: { id: string; sizeBytes: number },
  { files, textBytes }: { files: number; textBytes: number },
): void {
  for (let number = 0; number < files; number++) {
    const line = `frame ${1000 + number} 1\n`;
    const text = `vmferry-index 1\npack ${pack.id} ${pack.sizeBytes}\n${line.repeat(textBytes / line.length)}`;
    const path = join(storePath, folder.nameOf('index', noSeal.nameOf(Buffer.from(text))));
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, compressText(text));
  }
}
