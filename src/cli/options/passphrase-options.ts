import process from 'node:process';
import type { Readable } from 'node:stream';
import type { Options } from 'yargs';
import { Failure } from '../../failure.ts';
import type { PassphraseRequest } from '../../operations/store-access/passphrase-source.ts';
import { optionalText, type Arguments } from './options.ts';
import { terminalPrompt } from '../terminal/terminal-prompt.ts';

/** For every command that opens a store. Never the passphrase itself: others see the arguments of a process. */
export const passphraseOptions = {
  'passphrase-file': {
    type: 'string',
    requiresArg: true,
    describe: 'Encrypted stores: a file whose first line is the passphrase (or VMFERRY_PASSPHRASE_FILE)',
  },
  'passphrase-command': {
    type: 'string',
    requiresArg: true,
    describe: 'Encrypted stores: a command that prints it (or VMFERRY_PASSPHRASE_COMMAND)',
  },
  'key-file': {
    type: 'string',
    requiresArg: true,
    describe: 'Encrypted stores: what `vmferry key export` printed, in place of a passphrase',
  },
} as const satisfies Record<string, Options>;

export const newPassphraseOptions = {
  'new-passphrase-file': {
    type: 'string',
    requiresArg: true,
    describe: 'A file whose first line is the new passphrase',
  },
  'new-passphrase-command': {
    type: 'string',
    requiresArg: true,
    describe: 'A command that prints the new passphrase',
  },
} as const satisfies Record<string, Options>;

/** Options come before the environment. Throws Failure `usage` for two of them. */
export function readPassphraseOptions(
  args: Arguments,
  environment: NodeJS.ProcessEnv = process.env,
): PassphraseRequest {
  const given = oneOf(args, 'passphrase-file', 'passphrase-command', 'key-file');
  const options = '--passphrase-file, --passphrase-command or --key-file';
  if (given !== null) return { ...given, options };
  const file = environment['VMFERRY_PASSPHRASE_FILE'] || null;
  const command = environment['VMFERRY_PASSPHRASE_COMMAND'] || null;
  if (file !== null && command !== null)
    throw new Failure('usage', 'VMFERRY_PASSPHRASE_FILE and VMFERRY_PASSPHRASE_COMMAND are both set.');
  return { file, command, keyFile: null, options };
}

export function readNewPassphraseOptions(args: Arguments): PassphraseRequest {
  const given = oneOf(args, 'new-passphrase-file', 'new-passphrase-command');
  return {
    ...(given ?? { file: null, command: null, keyFile: null }),
    options: '--new-passphrase-file or --new-passphrase-command',
  };
}

/** What opens the store, for an operation. Asks on the terminal, if stdin is one, when nothing was given. */
export async function openPassphraseSource(
  request: PassphraseRequest,
  { stdin, context: { signal } }: { stdin: Readable; context: { signal: AbortSignal } },
) {
  const { createPassphraseSource } = await import('../../operations/store-access/passphrase-source.ts');
  return createPassphraseSource(request, terminalPrompt(stdin, process.stderr), signal);
}

function oneOf(
  args: Arguments,
  fileOption: string,
  commandOption: string,
  keyFileOption?: string,
): Omit<PassphraseRequest, 'options'> | null {
  const file = optionalText(args, fileOption);
  const command = optionalText(args, commandOption);
  const keyFile = keyFileOption === undefined ? null : optionalText(args, keyFileOption);
  const count = [file, command, keyFile].filter((value) => value !== null).length;
  if (count > 1)
    throw new Failure('usage', `--${fileOption} and its like exclude each other: give one of them.`);
  return count === 0 ? null : { file, command, keyFile };
}
