import { mkdirSync, readdirSync, readFileSync, symlinkSync, utimesSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, test } from '@jest/globals';
import { totalLength } from '../../../../src/extent/extents.ts';
import type { GuestDefinition } from '../../../../src/guest/definition.ts';
import { refuseUsedDisks } from '../../../../src/guest/disks/used-disks.ts';
import { summarizeContainer } from '../../../../src/image/formats/view/container-summary.ts';
import { openImage } from '../../../../src/image/open-image.ts';
import { refuseChanged, stampImages } from '../../../../src/image/image-stamp.ts';
import { probeImage } from '../../../../src/image/probe.ts';
import { usedExtents } from '../../../../src/image/used-extents.ts';
import { failureOf } from '../../../support/failures.ts';
import { viewsMissing, viewsOf } from '../../../support/images/containers.ts';
import { cowHeader, makeCow, writeSectors } from '../../../support/images/cow-images.ts';
import {
  extVariant,
  makeExtImage,
  makeSparseFile,
  patchFile,
  runTool,
  scratchDirectory,
  seededBytes,
} from '../../../support/images/images.ts';
import { end, startHolder } from '../../../support/programs/holder.ts';
import { describeUnless, toolsMissing } from '../../../support/programs/tools.ts';

const MIB = 2 ** 20;
/** Not a whole number of clusters, of bytes of the bitmap, or of pages. */
const DISK_BYTES = 40 * MIB + 3 * 512;

/** A base with some data and many holes, and a copy-on-write file over it. */
function makePair(directory: string): { base: string; cow: string } {
  const [base, cow] = [join(directory, 'base.img'), join(directory, 'web.cow')];
  makeSparseFile(base, DISK_BYTES);
  patchFile(base, 0, seededBytes(1, 100_000));
  patchFile(base, 20 * MIB + 512, seededBytes(2, MIB));
  patchFile(base, DISK_BYTES - 512, seededBytes(3, 512));
  makeCow(cow, base);
  return { base, cow };
}

function guestOf(path: string, backing?: string): GuestDefinition {
  const disk = { device: 'ubd0', path, readOnly: false, format: 'cow' as const };
  return {
    name: 'web',
    driver: 'uml',
    memoryBytes: null,
    cpuCount: null,
    kernel: null,
    initrd: null,
    disks: [{ ...disk, ...(backing !== undefined && { backing }) }],
    commandLine: [],
  };
}

describeUnless(
  viewsMissing() ?? toolsMissing('uml_mkcow', 'uml_moo'),
  'a copy-on-write file of User Mode Linux',
  () => {
    test('is read as what uml_moo merges, with the holes of both files', async () => {
      using scratch = scratchDirectory();
      const { base, cow } = makePair(scratch.path);
      const last = DISK_BYTES / 512 - 1;
      const few = [0, 1, 31, 32, 33, 63, 190, 32_767, 32_768, 41_000, 70_001, last - 1, last];
      writeSectors(cow, DISK_BYTES, [...few, ...Array.from({ length: 3000 }, (_, at) => 50_000 + at)], 9);
      const merged = join(scratch.path, 'merged.img');
      runTool('uml_moo', [cow, merged]);
      const before = [readFileSync(base), readFileSync(cow)] as const;
      {
        await using image = await openImage(cow, { format: 'cow' });
        expect(image).toMatchObject({ format: 'cow', sizeBytes: DISK_BYTES, kind: 'file' });
        expect(image.container?.backingFiles).toEqual([{ path: base, format: 'raw' }]);
        const expected = readFileSync(merged);
        expect(Buffer.from(image.read(0, DISK_BYTES)).equals(expected)).toBe(true);
        // Only the rest reads as zero.
        const extents = [...image.dataExtents()];
        expect(totalLength(extents)).toBeLessThan(4 * MIB);
        for (const { offset, length } of extents) expected.fill(0, offset, offset + length);
        expect(expected.equals(Buffer.alloc(DISK_BYTES))).toBe(true);
      }
      expect(viewsOf(process.pid)).toEqual([]);
      expect(readFileSync(base).equals(before[0])).toBe(true);
      expect(readFileSync(cow).equals(before[1])).toBe(true);
      expect(readdirSync(scratch.path).toSorted()).toEqual(['base.img', 'merged.img', 'web.cow']);
      expect(summarizeContainer(cow, 'cow')).toMatchObject({ path: cow, sizeBytes: DISK_BYTES });
    });

    test('with an ext4 below: its free blocks are found', async () => {
      using scratch = scratchDirectory();
      const [base, cow] = [join(scratch.path, 'base.img'), join(scratch.path, 'web.cow')];
      makeExtImage(base, extVariant('ext4, 1 KiB'));
      makeCow(cow, base);
      await using image = await openImage(cow, { format: 'cow' });
      await using raw = await openImage(base);
      const layout = probeImage(image);
      expect(layout).toEqual(probeImage(raw));
      const read = totalLength(usedExtents(image, layout, { everyBlock: false }));
      expect(read).toBeGreaterThan(0);
      expect(read).toBeLessThanOrEqual(totalLength(usedExtents(raw, probeImage(raw), { everyBlock: false })));
    });

    test.each<[string, (base: string) => void, RegExp]>([
      ['was written to', (base) => utimesSync(base, 1, 1_000_000_000), /last changed at/],
      ['has grown', (base) => patchFile(base, DISK_BYTES, new Uint8Array(512)), /bytes, and has/],
    ])('is refused when its backing file %s, as by the kernel', async (_, change, message) => {
      using scratch = scratchDirectory();
      const { base, cow } = makePair(scratch.path);
      change(base);
      const failure = await failureOf(() => openImage(cow, { format: 'cow' }));
      expect(failure).toMatchObject({ code: 'image-unsupported' });
      expect(failure.message).toMatch(message);
    });

    test('after a copy that changed only the time of its backing file, the advice helps', async () => {
      using scratch = scratchDirectory();
      const { base, cow } = makePair(scratch.path);
      utimesSync(base, 1, 1_000_000_000);
      const { advice = '' } = await failureOf(() => openImage(cow, { format: 'cow' }));
      const [, when = '', path = ''] = /touch -d (@\d+) (\S+)\./.exec(advice) ?? [];
      runTool('touch', ['-d', when, path]);
      await using image = await openImage(cow, { format: 'cow' });
      expect(image.sizeBytes).toBe(DISK_BYTES);
    });

    test('may have its backing file elsewhere only if the definition names it', async () => {
      using scratch = scratchDirectory();
      const elsewhere = join(scratch.path, 'elsewhere');
      const own = join(scratch.path, 'own');
      mkdirSync(elsewhere);
      mkdirSync(own);
      const { base } = makePair(elsewhere);
      const cow = join(own, 'web.cow');
      makeCow(cow, base);
      const link = join(own, basename(base));
      symlinkSync(base, link);
      expect(await failureOf(() => openImage(cow, { format: 'cow' }))).toMatchObject({
        code: 'image-unsupported',
        message: `${cow} has a backing file outside its own directory: ${base}.`,
        advice: expect.stringMatching(`--backing-directory ${elsewhere}.*uml_moo ${cow} NEW`),
      });
      for (const named of [base, link]) {
        await using image = await openImage(cow, { format: 'cow', backing: named });
        expect(image.container?.backingFiles).toEqual([{ path: base, format: 'raw' }]);
      }
      // It is checked like any other.
      const other = join(own, 'other.img');
      makeSparseFile(other, MIB);
      expect(await failureOf(() => openImage(cow, { format: 'cow', backing: other }))).toMatchObject({
        code: 'image-unsupported',
        message: expect.stringContaining(`does not fit its backing file ${other}`),
      });
    });

    test.each([
      '/etc/shadow',
      '../../../../../../../etc/shadow',
      'json:{"driver":"file"}',
      '/dev/null',
      'missing',
    ])('made by somebody else does not make vmferry open %s', async (backing) => {
      using scratch = scratchDirectory();
      const cow = join(scratch.path, 'web.cow');
      makeSparseFile(cow, 2 * MIB);
      patchFile(cow, 0, cowHeader({ backing, sizeBytes: MIB }));
      const { code } = await failureOf(() => openImage(cow, { format: 'cow' }));
      expect(['image-unsupported', 'image-not-a-disk', 'image-missing']).toContain(code);
    });

    test('shares its backing file with readers; one that writes to it is a conflict', async () => {
      using scratch = scratchDirectory();
      const { base, cow } = makePair(scratch.path);
      const other = join(scratch.path, 'mail.cow');
      makeCow(other, base);
      await using image = await openImage(other, { format: 'cow' });
      expect(image.sizeBytes).toBe(DISK_BYTES);
      for (const definition of [guestOf(cow, base), guestOf(cow)]) {
        const reader = await startHolder(base, ['r']);
        try {
          await refuseUsedDisks(definition, '');
        } finally {
          await end(reader);
        }
        const writer = await startHolder(base, ['r+']);
        try {
          const failure = await failureOf(() => refuseUsedDisks(definition, 'Stop it.'));
          expect(failure).toMatchObject({ code: 'image-in-use', advice: 'Stop it.' });
          expect(failure.message).toContain(base);
        } finally {
          await end(writer);
        }
      }
    });

    test.each([true, false])(
      'counts as changed when its backing file changed (named: %s)',
      async (isNamed) => {
        using scratch = scratchDirectory();
        const { base, cow } = makePair(scratch.path);
        const stamps = await stampImages([{ path: cow, format: 'cow', ...(isNamed && { backing: base }) }]);
        await refuseChanged(stamps, '');
        utimesSync(base, 1, 2);
        expect(await failureOf(() => refuseChanged(stamps, ''))).toMatchObject({
          code: 'image-in-use',
          message: `${base} changed while it was read.`,
        });
      },
    );
  },
);
