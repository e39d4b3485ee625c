import { describe, expect, test } from '@jest/globals';
import {
  environmentAssignment,
  execLine,
  listedPath,
  plainLine,
} from '../../../src/schedule/systemd-text.ts';

/** What systemd itself makes of them is in test/integration/schedule-systemd.test.ts. */
describe('a word of ExecStart=', () => {
  test.each([
    ['plain', 'plain'],
    ['a b', '"a b"'],
    ['', '""'],
    ['100%', '"100%%"'],
    ['$HOME', '"$$HOME"'],
    [String.raw`a\b"c`, String.raw`"a\\b\"c"`],
    ['a\nb\t\u007f', String.raw`"a\x0ab\x09\x7f"`],
    [';', '";"'],
    ["it's", '"it\'s"'],
    ['größe', '"größe"'],
  ])('%j', (word, written) => {
    expect(execLine(['/bin/true', word])).toBe(`/bin/true ${written}`);
  });

  test('is not a variable where it is the program', () => {
    expect(execLine(['/opt/$x y%/node', 'a'])).toBe('"/opt/$x y%%/node" a');
  });

  test('cannot hold NUL or half a character, and a program has an absolute path', () => {
    expect(execLine(['/bin/true', 'a\0'])).toBeNull();
    expect(execLine(['/bin/true', '\ud800'])).toBeNull();
    expect(execLine(['true'])).toBeNull();
    expect(execLine(['-/bin/true'])).toBeNull();
    expect(execLine([])).toBeNull();
    for (const sign of ['"', "'", '\\', '\n']) expect(execLine([`/opt/a${sign}b`])).toBeNull();
  });
});

test('a variable of Environment= keeps its dollar signs', () => {
  expect(environmentAssignment('A', 'x $y %')).toBe('"A=x $y %%"');
  expect(environmentAssignment('HOME', '/root')).toBe('HOME=/root');
});

test('a path in a list is quoted without codes', () => {
  expect(listedPath('/srv/guests')).toBe('/srv/guests');
  expect(listedPath(String.raw`/srv/a b\"%`)).toBe(String.raw`"/srv/a b\\\"%%"`);
  expect(listedPath('/srv/a\nb')).toBeNull();
  expect(listedPath('srv')).toBeNull();
});

test('a line for people stays one line, and goes on in no other', () => {
  expect(plainLine('a\nb %n\\')).toBe('a b %%n');
});
