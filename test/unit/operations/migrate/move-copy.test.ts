import { expect, test } from '@jest/globals';
import type { CopiedMove } from '../../../../src/operations/migrate/passes/copied-move.ts';
import { MoveCopy } from '../../../../src/operations/migrate/passes/move-copy.ts';

test('a pass over an idle guest is progress, although nothing was sent', async () => {
  await using copy = new MoveCopy({ places: [], request: {} } as unknown as CopiedMove, null);
  const before = copy.progress;
  copy.passes.push({ readBytes: 4096, changedBytes: 0, sentBytes: 0, seconds: 1 });
  expect(copy.sentBytes).toBe(0);
  expect(copy.progress).toBeGreaterThan(before);
});
