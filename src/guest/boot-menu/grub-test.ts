import type { Word } from './menu-entry.ts';

/** A condition of more words is not evaluated. */
const MOST_WORDS = 64;

/** Null: nobody knows before the guest boots. */
export type Truth = boolean | null;

/** GRUB itself sets them, or may do so (GRUB manual, ‘Special environment variables’): a menu in which they are missing says nothing. */
const setByGrub =
  /^(?:[?#@*]|\d+|root|prefix|cmdpath|chosen|lang|gfxmode|shim_lock|lockdown|(?:grub|feature|net|pxe|config)_\w+)$/;

/** The name of a variable that may have a value that no menu and no grubenv has. */
export function mayBeSetByGrub(name: string): boolean {
  return setByGrub.test(name);
}

export function negation(truth: Truth): Truth {
  return truth === null ? null : !truth;
}

export function conjunction(one: Truth, other: Truth): Truth {
  if (one === false || other === false) return false;
  return one === null || other === null ? null : true;
}

export function disjunction(one: Truth, other: Truth): Truth {
  return negation(conjunction(negation(one), negation(other)));
}

/**
 * Whether a condition of GRUB's script holds (GRUB manual, ‘test’): only `[ … ]` that compares texts, with a variable that nobody
 * has set as an empty text. Null for all else: files, numbers, other commands.
 */
export function evaluateTest(words: readonly Word[], mayBeSet: (variable: string) => boolean): Truth {
  const isUsual = words[0]?.text === '[' && words.at(-1)?.text === ']';
  // GRUB takes `[ $a = b ]` without a value of `a` for `[ = b ]`, which holds.
  if (!isUsual || words.length > MOST_WORDS || words.some(({ mayVanish }) => mayVanish)) return null;
  let rest = words.slice(1, -1);
  let any: Truth = false;
  let all: Truth = true;
  for (;;) {
    const { truth, length } = evaluateFirst(rest, mayBeSet);
    if (length === 0) return null;
    all = conjunction(all, truth);
    const joint = rest[length]?.text;
    rest = rest.slice(length + 1);
    if (joint === '-a') continue;
    any = disjunction(any, all);
    if (joint === undefined) return any;
    if (joint !== '-o') return null;
    all = true;
  }
}

/** The first comparison of these words, and how many words it has: 0 if it is of another kind. */
function evaluateFirst(
  words: readonly Word[],
  mayBeSet: (variable: string) => boolean,
): { truth: Truth; length: number } {
  const [first, second, third] = words;
  if (first === undefined) return { truth: null, length: 0 };
  if (first.text === '!') {
    const { truth, length } = evaluateFirst(words.slice(1), mayBeSet);
    return { truth: negation(truth), length: length === 0 ? 0 : length + 1 };
  }
  const isKnown = (word: Word) => !word.unknown.some(({ name }) => mayBeSet(name));
  const operator = second?.text ?? '';
  if (third !== undefined && ['=', '==', '!='].includes(operator)) {
    const isEqual = first.text === third.text;
    const truth = operator === '!=' ? !isEqual : isEqual;
    return { truth: isKnown(first) && isKnown(third) ? truth : null, length: 3 };
  }
  if (second !== undefined && ['-n', '-z'].includes(first.text)) {
    const isEmpty = second.text === '';
    return { truth: isKnown(second) ? isEmpty === (first.text === '-z') : null, length: 2 };
  }
  if (first.text.startsWith('-')) return { truth: null, length: 0 };
  return { truth: isKnown(first) ? first.text !== '' : null, length: 1 };
}
