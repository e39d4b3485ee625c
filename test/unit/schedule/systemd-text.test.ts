import { describe, expect, test } from '@jest/globals';
import {
  environmentAssignment,
  execLine,
  listedPath,
  plainLine,
} from '../../../src/schedule/systemd-text.ts';

/** test/integration/cli/schedule-systemd.test.ts tests them with systemd itself. */
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

  test('is not expanded as a variable if it is the program', () => {
    expect(execLine(['/opt/$x y%/node', 'a'])).toBe('"/opt/$x y%%/node" a');
  });

  test('cannot hold NUL or a lone surrogate, and the program needs an absolute path', () => {
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

test('a path in a list is quoted without escapes', () => {
  expect(listedPath('/srv/guests')).toBe('/srv/guests');
  expect(listedPath(String.raw`/srv/a b\"%`)).toBe(String.raw`"/srv/a b\\\"%%"`);
  expect(listedPath('/srv/a\nb')).toBeNull();
  expect(listedPath('srv')).toBeNull();
});

test('a line for people is always one line', () => {
  expect(plainLine('a\nb %n\\')).toBe('a b %%n');
});
