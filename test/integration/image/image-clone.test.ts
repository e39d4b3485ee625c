import {
  chmodSync,
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { Failure } from '../../../src/failure.ts';
import { cloneImage, refuseUncloneable, removeStaleClones } from '../../../src/image/clones/clone.ts';
import { patchFile, runTool, seededBytes } from '../../support/images/images.ts';
import { mountingMissing, mountNew } from '../../support/images/reflink-file-system.ts';
import { describeUnless } from '../../support/programs/tools.ts';

const content = Buffer.from(seededBytes(3, 2 ** 20 + 512));

function failureOf(work: () => unknown): Failure {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(Failure);
    return error as Failure;
  }
  throw new Error('it did not fail');
}

for (const kind of ['xfs', 'btrfs'] as const)
  describeUnless(mountingMissing(kind), `clones on ${kind}`, () => {
    test('hold the image of that moment, are readable by this user only, and are removed afterwards', () => {
      using mounted = mountNew(kind);
      const image = join(mounted.path, 'guest.img');
      writeFileSync(image, content, { mode: 0o644 });
      refuseUncloneable(image);
      expect(readdirSync(mounted.path)).toEqual(['guest.img']);
      {
        using clone = cloneImage(image);
        expect(clone.path).toMatch(/\/\.guest\.img\.vmferry-[0-9a-f]{16}\.clone$/);
        expect(statSync(clone.path).mode & 0o777).toBe(0o600);
        patchFile(image, 4096, Buffer.from('changed'));
        expect(readFileSync(clone.path).equals(content)).toBe(true);
        expect(readFileSync(image).equals(content)).toBe(false);
      }
      expect(readdirSync(mounted.path)).toEqual(['guest.img']);
    });

    test('of a link lie beside its target', () => {
      using mounted = mountNew(kind);
      const image = join(mounted.path, 'guest.img');
      writeFileSync(image, content);
      const link = `${mounted.path}.link`;
      symlinkSync(image, link);
      using clone = cloneImage(link);
      expect(clone.path.startsWith(`${mounted.path}/.guest.img.`)).toBe(true);
      expect(clone.image).toBe(image);
    });

    test('of dead runs are removed; those of living runs and other files are not', () => {
      using mounted = mountNew(kind);
      const image = join(mounted.path, 'guest.img');
      writeFileSync(image, content);
      using clone = cloneImage(image);
      const stale = join(mounted.path, '.guest.img.vmferry-0123456789abcdef.clone');
      const others = ['.guest.img.vmferry-0123.clone', '.other.img.vmferry-0123456789abcdef.clone'];
      writeFileSync(stale, 'left behind');
      for (const other of others) writeFileSync(join(mounted.path, other), '');
      expect(removeStaleClones(image)).toEqual([stale]);
      expect(existsSync(clone.path)).toBe(true);
      expect(readdirSync(mounted.path)).toHaveLength(4);
      expect(removeStaleClones(image)).toEqual([]);
    });

    test('cannot be made in a directory that may not be written to', () => {
      using mounted = mountNew(kind);
      const image = join(mounted.path, 'guest.img');
      writeFileSync(image, content);
      runTool('chattr', ['+i', mounted.path]);
      const failure = failureOf(() => cloneImage(image));
      runTool('chattr', ['-i', mounted.path]);
      expect(failure.code).toBe('not-permitted');
      expect(failure.advice).toContain('--pause');
    });
  });

describeUnless(mountingMissing('btrfs'), 'clones of files that are not copied on write', () => {
  test('are made, too', () => {
    using mounted = mountNew('btrfs');
    const image = join(mounted.path, 'guest.img');
    closeSync(openSync(image, 'w'));
    runTool('chattr', ['+C', image]);
    writeFileSync(image, content);
    using clone = cloneImage(image);
    expect(readFileSync(clone.path).equals(content)).toBe(true);
  });
});

describeUnless(mountingMissing('ext4'), 'clones without reflinks', () => {
  test('are refused with advice', () => {
    using mounted = mountNew('ext4');
    const image = join(mounted.path, 'guest.img');
    writeFileSync(image, content);
    chmodSync(image, 0o600);
    const failure = failureOf(() => refuseUncloneable(image));
    expect(failure.code).toBe('guest-unsupported');
    expect(failure.message).toContain('no reflinks');
    expect(failure.advice).toMatch(/--pause.*--halt/);
    expect(readdirSync(mounted.path).filter((name) => name.includes('vmferry'))).toEqual([]);
  });
});
