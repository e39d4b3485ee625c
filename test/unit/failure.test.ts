import { expect, test } from '@jest/globals';
import { asFailure, Failure, fromFailureParts, toFailureParts, unsuppressed } from '../../src/failure.ts';
import { here, placed } from '../../src/placed-text.ts';

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

test('a failure is shown rather than a later one of the clean-up', () => {
  expect(asFailure(suppressed(lost, full))).toBe(full);
  expect(asFailure(suppressed(lost, suppressed(lost, full)))).toBe(full);
  expect(unsuppressed(full)).toBe(full);
});

test('a guest that is down is shown before any other failure', () => {
  expect(asFailure(suppressed(down, full))).toMatchObject({ code: 'guest-left-down', all: [down, full] });
  expect(asFailure(suppressed(down, down))).toBe(down);
  // Interrupted: there is nothing else to tell.
  expect(unsuppressed(suppressed(down, new DOMException('x', 'AbortError')))).toBe(down);
});

test.each([
  new Failure('target-full', placed`${'/srv'} ${here} is full.`, { advice: placed`Look ${here}.` }),
  new Failure('connection-lost', 'It is lost.', { transient: true }),
])('a failure crosses threads whole: $code', (failure) => {
  const { code, message, advice, transient, placed: texts } = failure;
  const arrived = fromFailureParts(structuredClone(toFailureParts(failure)));
  expect(arrived).toMatchObject({ code, message, advice, transient, placed: texts });
});

test('a failure with another message keeps all the rest', () => {
  const failure = new Failure('target-full', 'It is full.', { advice: 'Make room.', transient: true });
  expect(failure.withMessage('It is very full.')).toMatchObject({
    code: 'target-full',
    message: 'It is very full.',
    advice: 'Make room.',
    transient: true,
    cause: failure,
  });
});
