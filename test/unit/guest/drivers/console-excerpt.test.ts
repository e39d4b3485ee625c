import { expect, test } from '@jest/globals';
import { consoleExcerpt } from '../../../../src/guest/drivers/console-excerpt.ts';

const lines = (count: number) => Array.from({ length: count }, (_, number) => `line ${number}`);

test('shows the last lines', () => {
  expect(consoleExcerpt(`${lines(20).join('\r\n')}\n\n`)).toBe(lines(20).slice(12).join('\n'));
  expect(consoleExcerpt('')).toBe('');
});

test('shows the panic, not the trace after it', () => {
  const log = [...lines(3), 'Kernel panic - not syncing: VFS', ...lines(30)].join('\n');
  expect(consoleExcerpt(log)).toBe([...lines(3), 'Kernel panic - not syncing: VFS'].join('\n'));
});

test('removes characters that would control a terminal', () => {
  expect(consoleExcerpt('\u001B[1;31mred\u001B[0m\u0007 \u001B]0;title\u0007and\u009B2J \u202Eback')).toBe(
    'red ]0;titleand2J back',
  );
});
