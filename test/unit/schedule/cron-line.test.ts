import { execFileSync } from 'node:child_process';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { cronLine, shellWord } from '../../../src/schedule/cron-line.ts';

/** Like cron (crontab(5)): the command ends at a newline or a percent sign. */
function commandOf(line: string): string {
  return line.split(' ').slice(5).join(' ');
}

function printedBy(command: string): string[] {
  return execFileSync('sh', ['-c', command], { encoding: 'utf8' }).split('\0').slice(0, -1);
}

const word = fc.string({ unit: 'grapheme' }).filter((text) => !/[\p{Cc}\p{Cs}]/u.test(text));
const nasty = fc.string({
  unit: fc.constantFrom('%', '\\', "'", '"', '$', '`', ' ', ';', '&', '#', '!', '-', 'a'),
});

describe('a line of a crontab', () => {
  test('gives the shell the same words, and has no percent sign', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(word, nasty), { minLength: 1, maxLength: 5 }), (words) => {
        const line = cronLine('0 3 * * *', [['printf', String.raw`%s\0`, ...words]]) ?? '';
        expect(line).not.toMatch(/[%\n]/);
        expect(line.startsWith('0 3 * * * printf ')).toBe(true);
        expect(printedBy(commandOf(line))).toEqual(words);
      }),
      { numRuns: 60 },
    );
  });

  test('runs the commands in order, until one fails', () => {
    const line = cronLine('0 3 * * *', [['printf', '1'], ['false'], ['printf', '2']]) ?? '';
    expect(execFileSync('sh', ['-c', `${commandOf(line)} || true`], { encoding: 'utf8' })).toBe('1');
  });

  test.each(['a\nb', '\0', '\u007f', '\ud800'])('cannot hold %j', (bad) => {
    expect(shellWord(bad)).toBeNull();
    expect(cronLine('0 3 * * *', [['echo', bad]])).toBeNull();
  });
});
