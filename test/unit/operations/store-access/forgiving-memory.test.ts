import { beforeEach, expect, test } from '@jest/globals';
import type { Event } from '../../../../src/events.ts';
import { Failure } from '../../../../src/failure.ts';
import { forgivingMemory } from '../../../../src/operations/store-access/forgiving-memory.ts';
import { codeOf } from '../../../support/failures.ts';

let events: Event[];
const context = { report: (event: Event) => void events.push(event) };
const store = { id: '0'.repeat(32), isEncrypted: true };

beforeEach(() => {
  events = [];
});

const broken = (failure: Failure) => ({
  recall: () => Promise.reject(failure),
  remember: () => Promise.reject(failure),
});

test.each(['target-full', 'target-not-writable', 'not-permitted', 'write-failed'] as const)(
  'a memory that cannot be written (%s) causes one warning',
  async (code) => {
    const memory = forgivingMemory(broken(new Failure(code, 'It is so.')), false, context);
    await memory.remember('/srv', store);
    await memory.remember('/srv', store);
    expect(events).toMatchObject([{ type: 'warning', code: 'not-remembered' }]);
    expect(events[0]).toMatchObject({
      message: expect.stringMatching(/^It is so[.] If the server shows another store/),
    });
  },
);

test('an unreadable memory counts as empty for a store that is only read', async () => {
  const unreadable = broken(new Failure('not-permitted', 'It is so.'));
  expect(await forgivingMemory(unreadable, true, context).recall('/srv')).toBeNull();
  expect(events).toHaveLength(1);
  expect(await codeOf(() => forgivingMemory(unreadable, false, context).recall('/srv'))).toBe(
    'not-permitted',
  );
});

test('a memory file that cannot be understood is an error, not an unknown store', async () => {
  const memory = forgivingMemory(broken(new Failure('store-unsupported', 'It is so.')), true, context);
  expect(await codeOf(() => memory.recall('/srv'))).toBe('store-unsupported');
  expect(await codeOf(() => memory.remember('/srv', store))).toBe('store-unsupported');
});
