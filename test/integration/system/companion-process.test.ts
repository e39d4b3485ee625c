import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { startCompanion } from '../../../src/system/companion-process.ts';
import { scratchDirectory } from '../../support/images/images.ts';

test.each([
  ['that ends when it is told to', '', 143],
  ['that does not listen is killed', 'trap "" TERM;', 137],
])('a companion %s, and cleaned up after', async (_, first, status) => {
  using scratch = scratchDirectory();
  const mark = join(scratch.path, 'mark');
  writeFileSync(mark, '');
  const companion = await startCompanion('sh', ['-c', `${first} echo ready; while :; do sleep 0.1; done`], {
    isReady: (line) => line === 'ready',
    cleanUp: 'rm "$1"',
    cleanUpArgument: mark,
    endLimitMs: 1000,
  });
  expect(existsSync(mark)).toBe(true);
  expect(await companion.end()).toBe(status);
  expect(existsSync(mark)).toBe(false);
});
