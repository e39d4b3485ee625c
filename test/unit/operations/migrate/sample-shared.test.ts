import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { sampleShared } from '../../../../src/operations/migrate/sample-shared.ts';
import { openSourceDisk } from '../../../../src/transfer/source-disk.ts';
import { scratchDirectory, seededBytes } from '../../../support/images/images.ts';

const MIB = 2 ** 20;
const context = { signal: new AbortController().signal };

test('what earlier images have at the same place is shared, whichever of them has it', async () => {
  using scratch = scratchDirectory();
  const write = (name: string, ...pieces: Uint8Array[]) => {
    const path = join(scratch.path, name);
    writeFileSync(path, Buffer.concat(pieces));
    return path;
  };
  const [a, b, c, d] = [1, 2, 3, 4].map((seed) => seededBytes(seed, MIB)) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  const own = write('own', a, b, c, d);
  await using disk = await openSourceDisk({ path: own }, { everyBlock: true });
  await using small = await openSourceDisk({ path: write('small', a) }, { everyBlock: true });
  const share = (...earlier: string[]) => sampleShared([disk], earlier, context);
  expect(await share()).toBe(0);
  expect(await share(write('first', a, d, d, a))).toBe(0.25);
  expect(await share(write('ends', a, b))).toBe(0.5);
  expect(await share(write('one', a, d), write('other', d, b, c))).toBe(0.75);
  expect(await share(join(scratch.path, 'gone'))).toBe(0);
  expect(await sampleShared([disk, small], [write('none', d, d, d, a)], context)).toBe(0);
  expect(await sampleShared([disk, small], [write('begin', a)], context)).toBe(2 / 5);
  expect(await sampleShared([], [own], context)).toBe(0);
});
