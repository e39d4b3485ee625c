import { expect, test } from '@jest/globals';
import { hugePagesOfDomain } from '../../../../../src/guest/drivers/libvirt/checks/huge-pages.ts';

test.each([
  ['<memoryBacking><hugepages/></memoryBacking>', { pageBytes: null }],
  [
    '<memoryBacking><hugepages><page size="1" unit="GiB"/></hugepages></memoryBacking>',
    { pageBytes: 2 ** 30 },
  ],
  ['<memoryBacking><hugepages><page size="2048"/></hugepages></memoryBacking>', { pageBytes: 2 * 2 ** 20 }],
  [
    '<memoryBacking><hugepages><page size="1" unit="GiB" nodeset="0"/></hugepages></memoryBacking>',
    { pageBytes: 'mixed' },
  ],
  [
    '<memoryBacking><hugepages><page size="2048" nodeset="0"/><page size="1" unit="GiB"/></hugepages></memoryBacking>',
    { pageBytes: 'mixed' },
  ],
  ['<memoryBacking><locked/></memoryBacking>', null],
  ['<description>&lt;hugepages></description><metadata><x:hugepages xmlns:x="x"/></metadata>', null],
])('the memory of a domain: %s', (xml, expected) => {
  expect(hugePagesOfDomain(`<domain><name>web</name>${xml}</domain>`)).toEqual(expected);
});
