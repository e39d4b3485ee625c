import { expect, test } from '@jest/globals';
import { severalResult } from '../../../../src/cli/texts/several-text.ts';

test('guests that were left out are named, and all guests of a hypervisor that does not answer', () => {
  const failed = ['web', 'libvirt:'].map((guest) => ({
    guest,
    code: 'hypervisor-missing' as const,
    message: '',
  }));
  const report = { type: 'guests-started', guests: ['db'], failed };
  const { failure, text } = severalResult(report, (guest) => `${guest} is up`, 'none');
  expect(text).toBe('db is up');
  expect(failure?.message).toBe('Not done: web, all guests of libvirt.');
});
