import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { totalLength } from '../../../src/extent/extents.ts';
import { swap } from '../../../src/image/file-systems/swap/swap.ts';
import { openImage } from '../../../src/image/open-image.ts';
import { probeImage } from '../../../src/image/probe.ts';
import { usedExtents } from '../../../src/image/used-extents.ts';
import { expectDamageNoticed } from '../../support/images/damage.ts';
import {
  copyExtents,
  makeGarbageFile,
  patchFile,
  runTool,
  scratchDirectory,
} from '../../support/images/images.ts';
import { describeWithTools } from '../../support/programs/tools.ts';

const MIB = 2 ** 20;

function makeSwap(path: string, options: readonly string[] = []): void {
  makeGarbageFile(path, 4 * MIB + 512);
  runTool('mkswap', ['-q', '-L', 'guest swap', ...options, path]);
}

async function probe(path: string) {
  await using source = await openImage(path);
  const layout = probeImage(source);
  const used = [...usedExtents(source, layout, { everyBlock: false })];
  return { region: layout.regions[0], used, sizeBytes: source.sizeBytes };
}

describeWithTools('swap space', ['mkswap', 'swaplabel'], () => {
  test.each([4096, 8192, 16_384, 65_536])(
    'with pages of %i bytes: only its header is moved',
    async (pageBytes) => {
      using scratch = scratchDirectory();
      const path = join(scratch.path, 'swap');
      makeSwap(path, ['-p', String(pageBytes)]);
      const { region, used, sizeBytes } = await probe(path);
      expect(region).toMatchObject({
        kind: 'swap',
        label: 'guest swap',
        clean: true,
        skippable: true,
        usedBytes: pageBytes,
      });
      // The last sector belongs to no page.
      expect(used).toEqual([
        { offset: 0, length: pageBytes },
        { offset: 4 * MIB, length: 512 },
      ]);
      const copy = join(scratch.path, 'copy');
      copyExtents(path, copy, sizeBytes, used);
      expect(runTool('swaplabel', [copy])).toBe(runTool('swaplabel', [path]));
      expect(runTool('swaplabel', [copy])).toContain('guest swap');
    },
  );

  test.each(['S1SUSPEND\0', 'S2SUSPEND\0', 'ULSUSPEND\0', 'LINHIB0001', '\xed\xc3\x02\xe9\x98\x56\xe5\x0c'])(
    'with the memory of a hibernated guest (%j) is moved whole',
    async (signature) => {
      using scratch = scratchDirectory();
      const path = join(scratch.path, 'swap');
      makeSwap(path);
      patchFile(path, 4086, Buffer.from(signature, 'latin1'));
      const { region, used, sizeBytes } = await probe(path);
      expect(region).toMatchObject({
        kind: 'swap',
        clean: false,
        skippable: false,
        reason: 'the swap space holds the memory of a guest that has hibernated',
      });
      expect(totalLength(used)).toBe(sizeBytes);
    },
  );

  test.each<[what: string, offset: number, bytes: string]>([
    ['a second signature, for other pages', 8182, 'SWAPSPACE2'],
    ['the signature of another version', 4086, 'SWAP-SPACE'],
    ['another version', 1024, '\x02'],
    ['more pages than there is room for', 1028, '\xff\xff\xff\xff'],
    ['fewer pages than there is room for', 1028, '\xff\x02\0\0'],
  ])('with %s is moved whole', async (_, offset, bytes) => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'swap');
    makeSwap(path);
    patchFile(path, offset, Buffer.from(bytes, 'latin1'));
    const { region, used, sizeBytes } = await probe(path);
    expect(region).toMatchObject({ kind: 'swap', skippable: false });
    expect(totalLength(used)).toBe(sizeBytes);
  });

  test('after any damage to its header, nothing of that is missed', () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'swap');
    makeSwap(path);
    const head = { offset: 0, length: 4096 };
    expectDamageNoticed(swap, new Uint8Array(readFileSync(path)), [head], [head]);
  });
});
