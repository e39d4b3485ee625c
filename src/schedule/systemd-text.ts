/**
 * Text in the syntax of unit files (systemd.syntax(7), "Quoting"; systemd.service(5), "Command lines"; systemd.unit(5),
 * "Specifiers"). Pure. A text that cannot be written exactly gives null.
 */

/** Characters without a meaning for systemd: no quotes, variables, specifiers or semicolons. */
const plainWord = /^[A-Za-z0-9_@+=:,./-]+$/;
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const controlCharacter = /[\u0000-\u001f\u007f]/g;

/** NUL, and lone surrogates, which are not valid UTF-8. */
// oxlint-disable-next-line no-control-regex -- NUL is what it looks for
const notWritable = /[\p{Cs}\0]/u;

/** A command line for `ExecStart=`, with the program as an absolute path. Null if a word cannot be written there. */
export function execLine([program, ...args]: readonly string[]): string | null {
  if (program === undefined || !isProgram(program)) return null;
  // systemd expands specifiers in the program's path, but no variables.
  const words = [quoted(program, false), ...args.map((arg) => quoted(arg, true))];
  return words.every((word) => word !== null) ? words.join(' ') : null;
}

/** systemd allows no quotes, backslashes and control characters in a program's path, even escaped. */
function isProgram(path: string): boolean {
  return path.startsWith('/') && !/["'\\\p{Cc}]/u.test(path);
}

/** For `Environment=`, where a dollar sign has no meaning. */
export function environmentAssignment(name: string, value: string): string | null {
  return quoted(`${name}=${value}`, false);
}

function quoted(word: string, knowsVariables: boolean): string | null {
  if (notWritable.test(word)) return null;
  if (plainWord.test(word)) return word;
  const escaped = withoutSpecifiers(word)
    .replaceAll(/["\\]/g, String.raw`\$&`)
    .replaceAll(controlCharacter, hexadecimalEscape);
  return `"${knowsVariables ? escaped.replaceAll('$', '$$$$') : escaped}"`;
}

function hexadecimalEscape(character: string): string {
  return String.raw`\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
}

/** One absolute path in a list such as `ReadWritePaths=`. No control characters: these lists have no escapes for them. */
export function listedPath(path: string): string | null {
  if (notWritable.test(path) || !path.startsWith('/') || path.search(controlCharacter) !== -1) return null;
  if (plainWord.test(path)) return path;
  return `"${withoutSpecifiers(path).replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}

/** A text for people such as `Description=`: one line, without specifiers. */
export function plainLine(text: string): string {
  return withoutSpecifiers(text.replaceAll(/[\p{Cc}\p{Cs}]/gu, ' '))
    .replace(/\\$/, '')
    .trim();
}

function withoutSpecifiers(text: string): string {
  return text.replaceAll('%', '%%');
}
