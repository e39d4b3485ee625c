import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { benchModule } from '../../support/bench-module.ts';

interface Bytes {
  sent: number;
  received: number;
}
type Sample = Bytes & { atMs: number };

const { lineUse } = await benchModule<{
  lineUse: (samples: readonly Sample[], wireBytes: Bytes, rateBits: number) => number | null;
}>('lines/line-use.mjs');

const RATE_BITS = 100e6;
const BYTES_PER_MS = RATE_BITS / 8 / 1000;

/** `seconds` of transfer at a share of the rate, between silences. */
function transfer(share: number, seconds: number, silentMs: number): Sample[] {
  const samples: Sample[] = [];
  for (let atMs = 0; atMs <= 2 * silentMs + 1000 * seconds; atMs += 20) {
    const activeMs = Math.min(Math.max(0, atMs - silentMs), 1000 * seconds);
    samples.push({ atMs, sent: Math.round(activeMs * share * BYTES_PER_MS), received: atMs });
  }
  return samples;
}

function wireOf(samples: readonly Sample[], headers = 1): Bytes {
  const last = samples.at(-1) ?? { sent: 0, received: 0 };
  return { sent: headers * last.sent, received: last.received };
}

test('silence before and after the data does not count', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.1, max: 1, noNaN: true }),
      fc.integer({ min: 1, max: 60 }),
      fc.integer({ min: 0, max: 5000 }),
      (share, seconds, silentMs) => {
        const samples = transfer(share, seconds, silentMs);
        expect(lineUse(samples, wireOf(samples), RATE_BITS)).toBeCloseTo(share, 1);
      },
    ),
  );
});

test('silence amid the data counts', () => {
  const first = transfer(1, 5, 0);
  const end = first.at(-1) ?? { atMs: 0, sent: 0, received: 0 };
  const second = transfer(1, 5, 0).map(({ atMs, sent, received }) => ({
    atMs: atMs + end.atMs + 10_000,
    sent: sent + end.sent,
    received: received + end.received,
  }));
  const samples = [...first, ...second];
  expect(lineUse(samples, wireOf(samples), RATE_BITS)).toBeCloseTo(0.5, 1);
});

test('headers that the samples leave out count', () => {
  const samples = transfer(0.9, 10, 100);
  expect(lineUse(samples, wireOf(samples, 1.05), RATE_BITS)).toBeCloseTo(0.945, 2);
});

test('the direction with the most bytes counts', () => {
  const samples = transfer(0.8, 10, 0).map(({ atMs, sent, received }) => ({
    atMs,
    sent: received,
    received: sent,
  }));
  expect(lineUse(samples, wireOf(samples), RATE_BITS)).toBeCloseTo(0.8, 1);
});

test('a line without traffic has no result', () => {
  const still = { sent: 5, received: 5 };
  const samples = [
    { atMs: 0, ...still },
    { atMs: 20, ...still },
  ];
  expect(lineUse(samples, { sent: 0, received: 0 }, RATE_BITS)).toBeNull();
});
