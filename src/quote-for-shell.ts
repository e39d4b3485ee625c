/** One word for sh, quoted only where needed. */
export function quoteForShell(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

/** A command line for sh, of these words. */
export function shellLine(words: readonly string[]): string {
  return words.map(quoteForShell).join(' ');
}
