import { basename, resolve } from 'node:path';
import { Failure } from '../../../failure.ts';
import { shellLine } from '../../../quote-for-shell.ts';
import { splitShell, type ShellCommand } from '../../../shell-words.ts';
import type { DefinitionLanguage, DefinitionPlace, ReadDefinition } from '../../definition-language.ts';
import type { GuestDefinition } from '../../definition.ts';
import { parseUmlCommandLine, requestedUmid, umlCommandLine } from './command-line.ts';

/** A command line for sh that starts a User Mode Linux guest, alone or in a script. */
export const umlLanguage: DefinitionLanguage = {
  kind: 'uml',
  recognizes: (text) => umlCommands(text).length > 0,
  read: readUmlText,
  write: writeUmlText,
};

/** Whether the word gives a User Mode Linux kernel a disk; no other program has such an argument. */
function isDisk(word: string): boolean {
  return /^ubd(?:\d+|[a-z])[rscdt]*=./.test(word);
}

function umlCommands(text: string): ShellCommand[] {
  return (splitShell(text) ?? []).filter(({ words }) => words.some(isDisk));
}

function readUmlText(text: string, place: DefinitionPlace): ReadDefinition {
  const [found, other] = umlCommands(text);
  if (found === undefined) throw notRead(place, 'it holds no command with a disk, such as ubd0=FILE');
  if (other !== undefined)
    throw notRead(place, `it starts two guests, in line ${found.line} and in line ${other.line}`);
  if (found.expanded !== null)
    throw notRead(place, `the shell would change ${found.expanded}, in the command of line ${found.line}`);
  const argv = withoutWrapper(found.words);
  const program = argv[0] ?? '';
  const name = requestedUmid(argv) ?? basename(place.name).replace(/\.[^.]*$/, '');
  const kernel = program.includes('/') ? resolve(place.directory, program) : null;
  const definition = parseUmlCommandLine(name, {
    kernel: kernel ?? '/',
    argv,
    workingDirectory: place.directory,
  });
  return { definition: { ...definition, kernel }, problems: [] };
}

/** Leaves out what stands before the kernel: `UML_DIR=/run/uml nohup xterm -e`. */
function withoutWrapper(words: readonly string[]): readonly string[] {
  const firstArgument = words.findIndex(isDisk);
  const isKernel = (word: string) => /linux|uml/i.test(basename(word)) && !word.includes('=');
  const kernel = words.findIndex((word, index) => index < firstArgument && isKernel(word));
  return words.slice(Math.max(kernel, 0));
}

function notRead({ name }: DefinitionPlace, reason: string): Failure {
  return new Failure(
    'guest-unsupported',
    `${name} cannot be read as a User Mode Linux command line: ${reason}.`,
    {
      advice:
        'Write the command that starts this one guest into a file, with all words as the kernel gets them.',
    },
  );
}

/** Without a kernel, Debian's is named, which is looked for on the PATH. */
function writeUmlText(definition: GuestDefinition): string {
  return `${shellLine([definition.kernel ?? 'linux.uml', ...umlCommandLine(definition)])}\n`;
}
