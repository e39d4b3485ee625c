/*
 * What stores, guests and other machines say is shown to a person. A terminal would obey what is no text in it: move the cursor, write
 * over lines, retitle the window, turn the order of letters round.
 */

/** Controls (C0 and C1), invisible and direction-changing characters, other line ends, and halves of characters. */
const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** A text of several lines as it can be printed: what is unprintable is written out, as `\x1b` or `\u202e`. */
export function printable(text: string): string {
  return text
    .replaceAll('\r\n', '\n')
    .replace(unprintable, (character) =>
      character === '\n' || character === '\t' ? character : escaped(character),
    );
}

/** The same of a text that is to stay in one line. */
export function printableLine(text: string): string {
  return text.replace(unprintable, escaped);
}

/** JSON as it can be printed, and that means the same: JSON’s own way leaves some of them. */
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
