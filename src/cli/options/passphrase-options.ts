import process from 'node:process';
import type { Readable } from 'node:stream';
import type { Options } from 'yargs';
import { Failure } from '../../failure.ts';
import type { PassphraseRequest } from '../../operations/store-access/passphrase-source.ts';
import { optionalText, type Arguments } from './options.ts';
import { terminalPrompt } from '../terminal/terminal-prompt.ts';

/** For every command that opens a store. No option takes the passphrase itself: others see the arguments of a process. */
export const passphraseOptions = {
  'passphrase-file': {
    type: 'string',
    requiresArg: true,
    describe: 'Encrypted stores: file with the passphrase in its first line (or VMFERRY_PASSPHRASE_FILE)',
  },
  'passphrase-command': {
    type: 'string',
    requiresArg: true,
    describe: 'Encrypted stores: command that prints the passphrase (or VMFERRY_PASSPHRASE_COMMAND)',
  },
  'key-file': {
    type: 'string',
    requiresArg: true,
    describe: 'Encrypted stores: file with the output of `vmferry key export`, instead of a passphrase',
  },
} as const satisfies Record<string, Options>;

export const newPassphraseOptions = {
  'new-passphrase-file': {
    type: 'string',
    requiresArg: true,
    describe: 'File with the new passphrase in its first line',
  },
  'new-passphrase-command': {
    type: 'string',
    requiresArg: true,
    describe: 'Command that prints the new passphrase',
  },
} as const satisfies Record<string, Options>;

/** Options win over the environment. Throws Failure `usage` if two are given. */
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
    throw new Failure(
      'usage',
      'VMFERRY_PASSPHRASE_FILE and VMFERRY_PASSPHRASE_COMMAND are both set: unset one.',
    );
  return { file, command, keyFile: null, options };
}

export function readNewPassphraseOptions(args: Arguments): PassphraseRequest {
  const given = oneOf(args, 'new-passphrase-file', 'new-passphrase-command');
  return {
    ...(given ?? { file: null, command: null, keyFile: null }),
    options: '--new-passphrase-file or --new-passphrase-command',
  };
}

/** The source of the passphrase or key for an operation. If none was given, it asks on the terminal (if stdin is one). */
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
  if (count > 1) {
    const options = [fileOption, commandOption, ...(keyFileOption === undefined ? [] : [keyFileOption])];
    throw new Failure('usage', `Give only one of --${options.join(', --')}.`);
  }
  return count === 0 ? null : { file, command, keyFile };
}
