/**
 * Text as unit files want it (systemd.syntax(7), "Quoting"; systemd.service(5), "Command lines"; systemd.unit(5),
 * "Specifiers"). Pure. Whatever cannot be written is null, never something else.
 */

/** Neither quoting, nor a variable, nor a specifier, nor the semicolon between commands has a meaning in these. */
const plainWord = /^[A-Za-z0-9_@+=:,./-]+$/;
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const controlCharacter = /[\u0000-\u001f\u007f]/g;

/** NUL, and half a surrogate pair, which is no UTF-8. */
// oxlint-disable-next-line no-control-regex -- NUL is what it looks for
const notWritable = /[\p{Cs}\0]/u;

/** A command line for `ExecStart=`, the program as an absolute path. Null: a word cannot be written there. */
export function execLine([program, ...args]: readonly string[]): string | null {
  if (program === undefined || !isProgram(program)) return null;
  // The program's own path knows specifiers, but no variables.
  const words = [quoted(program, false), ...args.map((arg) => quoted(arg, true))];
  return words.every((word) => word !== null) ? words.join(' ') : null;
}

/** systemd takes no quotes, backslashes and control characters in a program's path, however they are written. */
function isProgram(path: string): boolean {
  return path.startsWith('/') && !/["'\\\p{Cc}]/u.test(path);
}

/** For `Environment=`; a dollar sign means nothing there. */
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

/** One absolute path in a list of them, as of `ReadWritePaths=`. No control characters: those lists know no codes. */
export function listedPath(path: string): string | null {
  if (notWritable.test(path) || !path.startsWith('/') || path.search(controlCharacter) !== -1) return null;
  if (plainWord.test(path)) return path;
  return `"${withoutSpecifiers(path).replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}

/** A line for people, as of `Description=`: on one line, and without specifiers. */
export function plainLine(text: string): string {
  return withoutSpecifiers(text.replaceAll(/[\p{Cc}\p{Cs}]/gu, ' '))
    .replace(/\\$/, '')
    .trim();
}

function withoutSpecifiers(text: string): string {
  return text.replaceAll('%', '%%');
}
