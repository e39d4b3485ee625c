import { basename, isAbsolute, resolve } from 'node:path';
import { Failure } from '../../../failure.ts';
import { shellLine } from '../../../quote-for-shell.ts';
import { splitShell, type ShellCommand } from '../../../shell-words.ts';
import type { DefinitionLanguage, DefinitionPlace, ReadDefinition } from '../../definition-language.ts';
import type { GuestDefinition } from '../../definition.ts';
import { qemuCommand } from './arguments/command.ts';
import { isQemuProgram } from './arguments/program-name.ts';
import { readQemuArguments } from './arguments/read.ts';

/** A command line for sh that starts a guest of QEMU, alone or in a script. */
export const qemuLanguage: DefinitionLanguage = {
  kind: 'qemu',
  recognizes: (text) => qemuCommands(text).length > 0,
  read: readQemuText,
  write: writeQemuText,
};

interface FoundCommand extends ShellCommand {
  /** Without what stands before the program: `exec nice -n 5`. */
  argv: readonly string[];
}

/** A mere mention of the program, such as `which qemu-system-x86_64`, has no option with a dash behind it. */
function qemuCommands(text: string): FoundCommand[] {
  return (splitShell(text) ?? []).flatMap((command) => {
    const { words } = command;
    const program = words.findIndex((word) => isQemuProgram(basename(word)));
    const argv = words.slice(program);
    return program >= 0 && argv.slice(1).some((word) => word.startsWith('-')) ? [{ ...command, argv }] : [];
  });
}

function readQemuText(text: string, place: DefinitionPlace): ReadDefinition {
  const [found, other] = qemuCommands(text);
  if (found === undefined) throw notRead(place, 'it holds no command with a program of QEMU and its options');
  if (other !== undefined)
    throw notRead(place, `it starts two guests, in line ${found.line} and in line ${other.line}`);
  if (found.expanded !== null)
    throw notRead(place, `the shell would change ${found.expanded}, in the command of line ${found.line}`);
  const { definition, problems } = readQemuArguments({
    argv: found.argv,
    resolve: (path) => (isAbsolute(path) ? path : resolve(place.directory, path)),
    fallbackName: basename(place.name).replace(/\.[^.]*$/, ''),
  });
  return { definition, problems };
}

function notRead({ name }: DefinitionPlace, reason: string): Failure {
  return new Failure('guest-unsupported', `${name} cannot be read as a command line of QEMU: ${reason}.`, {
    advice: 'Write the command that starts this one guest into a file, with all words as QEMU gets them.',
  });
}

function writeQemuText(definition: GuestDefinition): string {
  const { program, args } = qemuCommand(definition);
  return `${shellLine([program, ...args])}\n`;
}
