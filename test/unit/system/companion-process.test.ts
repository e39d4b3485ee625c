import { expect, test } from '@jest/globals';
import { pidWhenReady } from '../../../src/system/companion-process.ts';

const isReady = (line: string) => line.startsWith('ready');

test.each([
  ['the shell prints first', 'companion 17\nready\n', 17],
  ['the program prints first', 'ready\r\ncompanion 17\n', 17],
  ['the program says more', 'companion 17\nhello\nready, 18\n', 17],
  ['the program is not ready', 'companion 17\nhello\nread', null],
  ['its line is not complete', 'companion 17\nready', null],
  ['the pid is still missing', 'ready\n', null],
])('a companion is known to be ready by its output: %s', (_, output, pid) => {
  expect(pidWhenReady(output, isReady)).toBe(pid);
});
