import { expect, test } from '@jest/globals';
import { hugePagesOfArguments } from '../../../../../src/guest/drivers/qemu/launch/huge-pages.ts';

const memfd = 'memory-backend-memfd,id=ram,size=64M,hugetlb=on';
const hugePages = (line: string) => hugePagesOfArguments(line.split(' '));

test.each([
  [`-object ${memfd} -machine pc,memory-backend=ram`, { pageBytes: null }],
  [`-object ${memfd},hugetlbsize=1G -M q35,memory-backend=ram`, { pageBytes: 2 ** 30 }],
  [`-object ${memfd},hugetlbsize=2M -numa node,memdev=ram`, { pageBytes: 2 * 2 ** 20 }],
  [
    `-object {"qom-type":"memory-backend-memfd","id":"ram","hugetlb":true} -M pc,memory-backend=ram`,
    { pageBytes: null },
  ],
  // A device of the guest may have memory of its own.
  [`-object ${memfd} -machine pc,memory-backend=other`, null],
  ['-object memory-backend-memfd,id=ram,size=64M -machine pc,memory-backend=ram', null],
  ['-object {"broken -m 64', null],
  // An ordinary file system, and none at all.
  ['-mem-path /proc', null],
  ['-object memory-backend-file,id=ram,mem-path=/nowhere/at/all -machine pc,memory-backend=ram', null],
])('the main memory of %s', (line, expected) => {
  expect(hugePages(line)).toEqual(expected);
});
