/** Commands that change nothing: a wrong suggestion does no harm. */
const reading = new Set(['list', 'guests', 'inspect', 'diff', 'verify']);

/** Names that other programs use for the same. */
const sameMeaning: Readonly<Record<string, string>> = {
  move: 'migrate',
  ls: 'list',
  ps: 'guests',
  stat: 'guests',
  status: 'guests',
};

/**
 * The command that was probably meant by an unknown word; null if that is not clear. The word may differ by one typing
 * error. A command that changes something must also begin with the same letter, and the word must be longer than three
 * letters: `mount` does not suggest `prune`.
 */
export function meantCommand(word: string, commands: readonly string[]): string | null {
  const same = Object.hasOwn(sameMeaning, word) ? sameMeaning[word] : undefined;
  if (same !== undefined && commands.includes(same)) return same;
  const near = commands.filter((command) => isMistyped(word, command));
  const [only, ...others] = near.filter(
    (command) => reading.has(command) || (word.length > 3 && word.at(0) === command.at(0)),
  );
  return only !== undefined && others.length === 0 ? only : null;
}

/** One character is missing, added or wrong, or two neighbours are exchanged. */
function isMistyped(word: string, command: string): boolean {
  if (word.length < 3) return false;
  const start = sameFromStart(word, command);
  const rest = (text: string, from: number) => text.slice(start + from);
  if (word.length === command.length)
    return (
      rest(word, 1) === rest(command, 1) ||
      (word[start] === command[start + 1] &&
        word[start + 1] === command[start] &&
        rest(word, 2) === rest(command, 2))
    );
  return word.length < command.length
    ? rest(word, 0) === rest(command, 1)
    : rest(word, 1) === rest(command, 0);
}

function sameFromStart(one: string, other: string): number {
  let length = 0;
  while (length < one.length && one[length] === other[length]) length += 1;
  return length;
}
