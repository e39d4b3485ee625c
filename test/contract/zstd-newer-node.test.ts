import { expect, test } from '@jest/globals';
import { newerNode, runJestUnder } from '../support/newer-node.ts';
import { describeUnless } from '../support/tools.ts';

/** The first release line whose node:zlib has zstd, and the long-term one after it. */
const versions = ['22.23.3', '24.21.0'];

for (const version of versions) {
  const node = newerNode(version);
  describeUnless(node.missing, `under Node ${version}`, () => {
    test('both implementations keep the contract, and read each other', () => {
      const { passed, failed, output } = runJestUnder(
        node.program ?? '',
        'test/contract/zstd-implementations.test.ts',
      );
      expect({ failed, output: failed.length === 0 ? '' : output }).toEqual({ failed: [], output: '' });
      for (const name of ['node:zlib', 'node-zstd'])
        expect(passed.filter((title) => title.startsWith(`zstd by ${name}`)).length).toBeGreaterThan(20);
    }, 120_000);
  });
}
