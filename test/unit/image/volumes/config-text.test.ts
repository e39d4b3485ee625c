import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Doubt } from '../../../../src/image/file-systems/doubt.ts';
import {
  parseConfig,
  type ConfigSection,
  type ConfigValue,
} from '../../../../src/image/volumes/config-text.ts';

type Tree = { [name: string]: ConfigValue | Tree };

const scalars = fc.oneof(fc.string(), fc.maxSafeInteger());
const names = fc.oneof(fc.stringMatching(/^[\w+.][\w+.-]{0,8}$/), fc.stringMatching(/^\d{1,20}$/));
const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.dictionary(names, fc.oneof({ maxDepth: 4 }, scalars, fc.array(scalars), tie('tree')), {
    noNullPrototype: true,
  }),
}));

function write(value: Tree): string {
  const quote = (one: string | number): string =>
    typeof one === 'number' ? String(one) : `"${one.replaceAll(/["\\]/g, '\\$&')}"`;
  return Object.entries(value)
    .map(([name, entry]) => {
      if (typeof entry === 'string' || typeof entry === 'number') return `${name} = ${quote(entry)}`;
      if (Array.isArray(entry)) return `${name}=[${entry.map(quote).join(', ')}]\t# a comment`;
      return `${name} {\n${write(entry as Tree)}}`;
    })
    .map((line) => `${line}\n`)
    .join('');
}

function plain(section: ConfigSection): Tree {
  return Object.fromEntries(
    [...section].map(([name, entry]) => [
      name,
      entry instanceof Map ? plain(entry as ConfigSection) : (entry as ConfigValue),
    ]),
  );
}

describe("LVM's metadata", () => {
  test('what is written is read', () => {
    fc.assert(
      fc.property(tree, (value) => {
        // Names that are numbers come first in objects, in any order.
        expect(plain(parseConfig(`${write(value)}\0`))).toEqual(value);
      }),
    );
  });

  test.each([
    ['a name twice', 'a = 1\na = 2'],
    ['a section that does not end', 'a { b = 1'],
    ['an end without a section', 'a = 1 }'],
    ['a text that does not end', 'a = "b'],
    ['a list without commas', 'a = [1 2]'],
    ['a name without a value', 'a'],
    ['a value without a name', '= 1'],
    ['a name as a value', 'a = b'],
    ['a number that LVM reads as octal', 'a = [010]'],
    ['a number that is too large', 'a = 9007199254740993'],
    ['sections that are too deep', `${'a {'.repeat(100)}${'}'.repeat(100)}`],
    ['a character that is none of the language', 'a = 1;'],
  ])('%s is doubtful', (_, text) => {
    expect(() => parseConfig(text)).toThrow(Doubt);
  });

  test('any text is either read or doubtful', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'a1-"\\{}[]=,# \n'.split('')) }), (text) => {
        try {
          parseConfig(text);
        } catch (error) {
          expect(error).toBeInstanceOf(Doubt);
        }
      }),
    );
  });

  test('a text of a megabyte is read', () => {
    const long = 'x\\"'.repeat(350_000);
    expect(parseConfig(`a = "${long}"`).get('a')).toBe('x"'.repeat(350_000));
  });
});
