import { expect, test } from '@jest/globals';
import { dirtyExtents } from '../../../../../src/guest/drivers/qemu/recording/written-extents.ts';

const KIB = 1024;
const disk = { sizeBytes: 1_073_743_360, dirtyBytes: 192 * KIB, granularityBytes: 64 * KIB };

/** As `qemu-img map` of QEMU 7.2 prints a bitmap with two dirty ranges, the last granule among them. */
const printed = `[{ "start": 0, "length": 10485760, "depth": 0, "present": true, "zero": false, "data": true, "offset": 0},
{ "start": 10485760, "length": 131072, "depth": 0, "present": false, "zero": false, "data": false},
{ "start": 10616832, "length": 1063124992, "depth": 0, "present": true, "zero": false, "data": true, "offset": 10616832},
{ "start": 1073741824, "length": 1536, "depth": 0, "present": false, "zero": false, "data": false}]
`;

test('the dirty extents of a bitmap are those without data', () => {
  expect(dirtyExtents(printed, disk)).toEqual([
    { offset: 10_485_760, length: 131_072 },
    { offset: 1_073_741_824, length: 1536 },
  ]);
});

test.each([
  ['a gap', printed.replace('"start": 10616832', '"start": 10616833'), disk],
  ['a shorter disk', printed, { ...disk, sizeBytes: disk.sizeBytes + 512 }],
  ['another number of dirty bytes than QEMU counts', printed, { ...disk, dirtyBytes: 256 * KIB }],
  // As a client would show it that does not ask for the bitmap.
  ['only data', '[{ "start": 0, "length": 1073743360, "data": true}]', disk],
  ['no ranges', '[]', disk],
  ['no JSON', 'qemu-img: cannot connect', disk],
  ['a negative length', '[{ "start": 0, "length": -1, "data": false}]', disk],
])('%s is not believed', (_, text, of) => {
  expect(dirtyExtents(text, of)).toBeNull();
});
