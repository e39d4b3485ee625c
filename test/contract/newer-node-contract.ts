import { expect, test } from '@jest/globals';
import { newerNode, runJestUnder } from '../support/programs/newer-node.ts';
import { describeUnless } from '../support/programs/tools.ts';

const limitMs = 120_000;

/** The tests that depend on zstd, under another release of Node: from 22 on, node:zlib has zstd. */
export function describeUnderNode(version: string): void {
  const node = newerNode(version);
  describeUnless(node.missing, `under Node ${version}`, () => {
    /** Titles of the tests that passed there; none may fail. */
    function runThere(testFile: string): string[] {
      const { passed, failed, output } = runJestUnder(node.program ?? '', testFile);
      // jest lists the passed tests first, and the reasons of failures after them
      const reasons = failed.length === 0 ? '' : output.slice(output.indexOf('●'));
      expect({ failed, reasons }).toEqual({ failed: [], reasons: '' });
      return passed;
    }

    test(
      'all implementations keep the contract, and read each other’s frames',
      () => {
        const passed = runThere('test/contract/zstd-implementations.test.ts');
        for (const name of ['node:zlib', 'node-zstd'])
          expect(passed.filter((title) => title.startsWith(`zstd by ${name}`)).length).toBeGreaterThan(20);
      },
      limitMs,
    );

    test(
      'packs of earlier versions are read',
      () => {
        expect(runThere('test/golden/formats-v1.test.ts')).toContainEqual(
          expect.stringContaining('node:zlib'),
        );
      },
      limitMs,
    );

    test(
      'images survive a round trip',
      () => {
        expect(runThere('test/integration/transfer/capture-round-trip.test.ts').length).toBeGreaterThan(10);
      },
      limitMs,
    );
  });
}
