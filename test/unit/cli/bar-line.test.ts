import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { emptyHistory, observe } from '../../../src/cli/reporters/progress-rate.ts';
import { barLine } from '../../../src/cli/reporters/bar-line.ts';

const MiB = 2 ** 20;

function copying(doneBytes: number, totalBytes: number, seconds = 10) {
  const history = observe(observe(emptyHistory, 0, 0), doneBytes, seconds * 1000);
  return {
    idleSeconds: () => 0,
    history,
    event: { type: 'progress', stage: 'copy', doneBytes, totalBytes, sentBytes: doneBytes / 3 } as const,
  };
}

test('the complete line fits into 80 columns', () => {
  expect(barLine(copying(300 * MiB, 1000 * MiB), 79)).toBe(
    '  copy   [===        ] 300 MiB of 0.98 GiB, 30.0 MiB/s, ratio 3.0, 24 s left',
  );
});

test.each([
  [119, '  copy   [============                            ]  30 % 300 MiB of'],
  [50, '  copy   300 MiB of 0.98 GiB, 30.0 MiB/s, ratio 3.'],
  [0, ''],
])('at %d columns', (columns, beginning) => {
  expect(barLine(copying(300 * MiB, 1000 * MiB), columns).slice(0, Math.max(beginning.length, 0))).toBe(
    beginning,
  );
});

test('verifying shows no ratio', () => {
  const line = copying(300 * MiB, 1000 * MiB);
  expect(barLine({ ...line, event: { ...line.event, stage: 'verify' } }, 79)).toMatch(/MiB\/s, 24 s left$/);
});

describe('for any progress', () => {
  test('the line fits, and is not cut at 80 columns', () => {
    const bytes = fc.integer({ min: 1, max: 2 ** 47 });
    fc.assert(
      fc.property(bytes, bytes, fc.integer({ min: 2, max: 10_000 }), (one, other, seconds) => {
        const line = copying(Math.min(one, other), Math.max(one, other), seconds);
        expect(barLine(line, 79)).toMatch(/ left$|ratio [\d.]+$/);
        expect(barLine(line, 79).length).toBeLessThanOrEqual(79);
      }),
    );
  });
});
