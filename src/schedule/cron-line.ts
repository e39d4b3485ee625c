/**
 * One line for a crontab (crontab(5)): its five fields, and the commands joined by `&&`. Pure.
 *
 * cron reads the line before a shell does, and ends it at a percent sign. How to escape that sign differs between programs
 * called cron, especially within quotes. So the line contains none: the shell makes it with printf.
 */
export function cronLine(fields: string, commands: readonly (readonly string[])[]): string | null {
  const words = commands.map((command) => command.map(shellWord));
  if (words.flat().includes(null)) return null;
  return `${fields} ${words.map((command) => command.join(' ')).join(' && ')}`;
}

const plainWord = /^[A-Za-z0-9_@+=:,./-]+$/;

/** A word for `sh`, without a percent sign. Null if no crontab can hold it: control characters, lone surrogates. */
export function shellWord(word: string): string | null {
  if (/[\p{Cc}\p{Cs}]/u.test(word)) return null;
  if (plainWord.test(word)) return word;
  const escaped = word.replaceAll("'", String.raw`'\''`).replaceAll('%', String.raw`'"$(printf '\045')"'`);
  return `'${escaped}'`;
}
