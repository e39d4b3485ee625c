import { Failure } from '../../failure.ts';
import { refuseShortPassphrase } from '../../repository/keys/store-key-file.ts';
import { parseStoreKeyText } from '../../repository/keys/store-key-text.ts';
import type { PassphraseSource } from '../../repository/keys/store-keys.ts';
import { errorCode } from '../../system/error-code.ts';
import { openSecret, readSecret } from './read-secret.ts';
import { run } from '../../system/processes.ts';

/** Where a passphrase comes from; one of them at most. */
export interface PassphraseRequest {
  /** Its first line is the passphrase. */
  file: string | null;
  /** A line for the shell; the first line of what it prints is the passphrase. */
  command: string | null;
  /** What `vmferry key export` printed: opens a store without any passphrase. */
  keyFile: string | null;
  /** The options that give one, for messages: `--passphrase-file or --passphrase-command`. */
  options: string;
}

/** Asks a person something whose answer is not shown. */
export type AskSecret = (question: string, signal: AbortSignal) => Promise<string>;

/** More than any passphrase or exported key. */
const LIMIT_BYTES = 4096;

/**
 * Gives the passphrase, or the key, as the person wants. It throws Failure `key-missing` when there is none.
 * @param ask null where there is no terminal
 */
export function createPassphraseSource(
  request: PassphraseRequest,
  ask: AskSecret | null,
  signal: AbortSignal,
): PassphraseSource {
  const { file, command, keyFile } = request;
  if (keyFile !== null)
    return async () => ({ storeKey: parseStoreKeyText(await readSecretFile(keyFile, signal)).key });
  if (file !== null) return async () => firstLine(await readSecretFile(file, signal), `The file ${file}`);
  if (command !== null)
    return async () => firstLine(await outputOf(command, signal), `The output of ‘${command}’`);
  if (ask === null)
    return (use) =>
      Promise.reject(
        new Failure(
          'key-missing',
          use === 'new'
            ? 'No new passphrase was given.'
            : 'The store is encrypted, and no passphrase was given.',
          { advice: `Say where it is with ${request.options}.` },
        ),
      );
  return (use) => (use === 'new' ? askForNew(ask, signal) : ask('Passphrase of the store: ', signal));
}

/** Asks for a new passphrase at once, and gives it from then on. Throws Failure `usage` when it is too short. */
export async function askedNow(source: PassphraseSource): Promise<PassphraseSource> {
  const secret = await source('new');
  if (typeof secret === 'string') refuseShortPassphrase(secret);
  return () => Promise.resolve(secret);
}

async function askForNew(ask: AskSecret, signal: AbortSignal): Promise<string> {
  const passphrase = await ask('New passphrase for the store: ', signal);
  if ((await ask('The same once more: ', signal)) !== passphrase)
    throw new Failure('usage', 'The two passphrases differ.', { advice: 'Try again; nothing was changed.' });
  return passphrase;
}

async function readSecretFile(path: string, signal: AbortSignal): Promise<string> {
  try {
    const file = await openSecret(path);
    try {
      // Asked of what is open, so that it cannot be another file by now.
      const { mode } = await file.stat();
      if ((mode & 0o007) !== 0)
        throw new Failure(
          'key-missing',
          `Everybody on this machine may read or change ${path}, so it is not used.`,
          {
            advice: `Make it yours alone: chmod 600 ${path}`,
          },
        );
      return decode(await readSecret(file, path, LIMIT_BYTES + 1, signal), `The file ${path}`);
    } finally {
      await file.close();
    }
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Failure) throw error;
    const code = errorCode(error);
    const message = code === 'ENOENT' ? `There is no file ${path}.` : `${path} cannot be read: ${code}.`;
    throw new Failure('key-missing', message, {
      advice: 'It was to give the passphrase or the key of the store: check its path.',
      cause: error,
    });
  }
}

async function outputOf(command: string, signal: AbortSignal): Promise<string> {
  const { exitStatus, stdout, stderr } = await run('sh', ['-c', command], { signal });
  if (exitStatus === 0) return stdout;
  const end = exitStatus === null ? 'was ended by a signal' : `ended with status ${exitStatus}`;
  throw new Failure(
    'key-missing',
    `‘${command}’, which was to give the passphrase, ${end}: ${stderr.trim() || 'it said nothing'}`,
  );
}

function decode(bytes: Uint8Array, what: string): string {
  if (bytes.length > LIMIT_BYTES) throw notUsable(`${what} is longer than any passphrase or key is.`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw notUsable(`${what} is no text in UTF-8.`);
  }
}

function firstLine(text: string, what: string): string {
  const [line = ''] = text.split(/\r?\n/, 1);
  if (line === '') throw notUsable(`${what} begins with an empty line.`);
  // What cannot be decoded would stand there as the same sign for all, and make a passphrase easy to guess.
  if (line.includes('\uFFFD')) throw notUsable(`${what} is no text in UTF-8.`);
  return line;
}

function notUsable(message: string): Failure {
  return new Failure('key-missing', message, {
    advice:
      'A passphrase is the first line of it, as text; random bytes can be written as hexadecimal digits.',
  });
}
