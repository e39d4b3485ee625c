import { expect, test } from '@jest/globals';
import { readdirSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { ImageTarget } from '../../../src/image/target/image-target.ts';
import {
  copyForRehearsal,
  removeLeftCopy,
} from '../../../src/operations/receive/rehearsal/copy-for-rehearsal.ts';
import { seededBytes } from '../../support/images/images.ts';
import { mountingMissing, mountNew } from '../../support/images/reflink-file-system.ts';
import { describeUnless } from '../../support/programs/tools.ts';

const MIB = 2 ** 20;
const imageBytes = 48 * MIB;
const context = { signal: new AbortController().signal };
const nobody = () => undefined;

/** An incomplete image with data at its beginning, its end and across the steps of a copy. */
async function incompleteImage(directory: string): Promise<ImageTarget> {
  const target = await ImageTarget.create(join(directory, 'web.img'), imageBytes);
  for (const offset of [0, 7 * MIB - 1000, imageBytes - 3 * MIB])
    writeSync(target.fd, seededBytes(offset, 3 * MIB), 0, 3 * MIB, offset);
  return target;
}

describeUnless(mountingMissing('xfs') ?? mountingMissing('ext4'), 'a copy for a rehearsal', () => {
  test.each(['ext4', 'xfs'] as const)(
    'has the bytes and the holes of the image, and is apart from it: %s',
    async (kind) => {
      using mounted = mountNew(kind);
      await using target = await incompleteImage(mounted.path);
      const before = readFileSync(target.workingPath);
      let copiedBytes = 0;
      {
        using copy = await copyForRehearsal(target, (bytes) => (copiedBytes += bytes), context);
        expect(readFileSync(copy.path).equals(before)).toBe(true);
        expect(statSync(copy.path).blocks * 512).toBeLessThan(12 * MIB);
        expect(copiedBytes > 0).toBe(kind === 'ext4');
        writeFileSync(copy.path, 'written by the guest');
        expect(readFileSync(target.workingPath).equals(before)).toBe(true);
      }
      expect(readdirSync(mounted.path).filter((name) => name !== 'lost+found')).toEqual(['web.img.partial']);
    },
  );

  test('is refused where there is no room for it', async () => {
    using mounted = mountNew('ext4', 20 * MIB);
    await using target = await incompleteImage(mounted.path);
    const copying = copyForRehearsal(target, nobody, context);
    await expect(copying).rejects.toMatchObject({ code: 'target-full' });
    expect(readdirSync(mounted.path).toSorted()).toEqual(['lost+found', 'web.img.partial']);
  });

  test('of a receiver that was killed is removed', async () => {
    using mounted = mountNew('ext4');
    await using target = await incompleteImage(mounted.path);
    await copyForRehearsal(target, nobody, context);
    expect(readdirSync(mounted.path)).toHaveLength(3);
    removeLeftCopy(target.workingPath);
    expect(readdirSync(mounted.path).toSorted()).toEqual(['lost+found', 'web.img.partial']);
  });
});
