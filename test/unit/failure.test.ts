import { expect, test } from '@jest/globals';
import { asFailure, Failure, unsuppressed } from '../../src/failure.ts';

/** What `await using` throws, as tsc makes it for a Node.js that has no SuppressedError. */
function suppressed(ofCleanUp: unknown, first: unknown): unknown {
  return Object.assign(new Error('An error was suppressed during disposal.'), {
    name: 'SuppressedError',
    error: ofCleanUp,
    suppressed: first,
  });
}

const down = new Failure('guest-left-down', 'It is down.');
const full = new Failure('target-full', 'It is full.');
const lost = new Failure('connection-lost', 'It is lost.');

test('of a failure and one of the clean-up the first counts', () => {
  expect(asFailure(suppressed(lost, full))).toBe(full);
  expect(asFailure(suppressed(lost, suppressed(lost, full)))).toBe(full);
  expect(unsuppressed(full)).toBe(full);
});

test('a guest that is down counts before all else', () => {
  expect(asFailure(suppressed(down, full))).toMatchObject({ code: 'guest-left-down', all: [down, full] });
  expect(asFailure(suppressed(down, down))).toBe(down);
  // Interrupted: there is nothing else to tell.
  expect(unsuppressed(suppressed(down, new DOMException('x', 'AbortError')))).toBe(down);
});
