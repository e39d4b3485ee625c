import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { shellLine } from '../../src/quote-for-shell.ts';
import { splitShell } from '../../src/shell-words.ts';

test('words that were quoted for the shell are read as they were', () => {
  const word = fc.string({ unit: 'grapheme', minLength: 1 }).filter((one) => !one.includes('\0'));
  fc.assert(
    fc.property(fc.array(word, { minLength: 1 }), (words) => {
      expect(splitShell(shellLine(words))?.map((command) => command.words)).toEqual([words]);
    }),
  );
});

test('commands are split, and each knows its line', () => {
  const script = '#!/bin/sh\ncd /srv; exec "linux" \\\n  a=b # the end\n\nls &\n';
  expect(splitShell(script)).toEqual([
    { line: 2, words: ['cd', '/srv'], expanded: null },
    { line: 2, words: ['exec', 'linux', 'a=b'], expanded: null },
    { line: 5, words: ['ls'], expanded: null },
  ]);
});

test.each([
  ['a $HOME/b', '$HOME/b'],
  ['a "$HOME"', '$HOME'],
  ['a `date`', '`date`'],
  ['a *.img', '*.img'],
  ['a ~/b', '~/b'],
  ['a b~ \'$c\' "\\$d" \\$e', null],
])('%s: the word that the shell would change is %s', (text, expanded) => {
  expect(splitShell(text)?.[0]?.expanded).toBe(expanded);
});

test('a quotation mark without its end is not read', () => {
  expect(splitShell('a "b')).toBeNull();
  expect(splitShell("a 'b")).toBeNull();
});
