import { Failure } from '../../../../failure.ts';
import { unprintable } from '../../../../unprintable.ts';

/** Why a configuration is not read. `line` counts from 1; null when it is about the file as a whole. */
export interface ConfigProblem {
  line: number | null;
  /** A clause: "a word without quotation marks (True)". */
  message: string;
  /** `no-kernel`: nothing is wrong but that this machine's own kernel is meant (`GuestDriver.complete`). */
  kind?: 'no-kernel';
}

/** The grammar broke: nothing of the file is understood. */
export class ConfigSyntaxError extends Error {
  readonly problem: ConfigProblem;
  constructor(line: number, message: string) {
    super(`line ${line}: ${message}`);
    this.name = 'ConfigSyntaxError';
    this.problem = { line, message };
  }
}

const MOST_SHOWN = 8;
const MOST_SHOWN_CHARACTERS = 200;

/** The failure that tells of all problems of the file. `file` is its name for people. */
export function configFailure(file: string, problems: readonly ConfigProblem[]): Failure {
  const shown = problems.slice(0, MOST_SHOWN).map(({ line, message }) => {
    const clause =
      message.length > MOST_SHOWN_CHARACTERS ? `${message.slice(0, MOST_SHOWN_CHARACTERS)}…` : message;
    return (line === null ? clause : `line ${line}: ${clause}`).replaceAll(unprintable, '?');
  });
  const more = problems.length - shown.length;
  const all = [...shown, ...(more > 0 ? [`and ${more} more`] : [])].join('; ');
  return new Failure('guest-unsupported', `The Xen configuration ${file} cannot be used: ${all}.`, {
    advice:
      'xl refuses such a line, or ignores it without a word. Change it so that it says what is meant; `xl create -n FILE` shows what xl understands.',
  });
}
