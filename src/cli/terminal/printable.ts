import { unprintable } from '../../unprintable.ts';

/*
 * Texts from stores, guests and other machines may contain control characters. A terminal would obey them: move the cursor,
 * overwrite lines, change the window's title, reverse the order of letters. So they are escaped before they are printed.
 */

/** Escapes unprintable characters in a text of several lines, as `\x1b` or `\u202e`. */
export function printable(text: string): string {
  return text
    .replaceAll('\r\n', '\n')
    .replace(unprintable, (character) =>
      character === '\n' || character === '\t' ? character : escaped(character),
    );
}

/** The same for one line: line ends and tabs are escaped, too. */
export function printableLine(text: string): string {
  return text.replace(unprintable, escaped);
}

/** JSON with the same meaning, with all unprintable characters escaped: JSON.stringify leaves some as they are. */
export function printableJson(value: unknown): string {
  return JSON.stringify(value).replace(unprintable, (character) =>
    // By code unit, as JSON does.
    Array.from({ length: character.length }, (_, unit) => hexUnit(character.charCodeAt(unit))).join(''),
  );
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, '0')}`;
  return code < 0x10000 ? hexUnit(code) : `\\u{${code.toString(16)}}`;
}

function hexUnit(code: number): string {
  return `\\u${code.toString(16).padStart(4, '0')}`;
}
