import { Failure } from '../../failure.ts';
import { refuseShortPassphrase } from '../../repository/keys/store-key-file.ts';
import { parseStoreKeyText } from '../../repository/keys/store-key-text.ts';
import type { PassphraseSource } from '../../repository/keys/store-keys.ts';
import { errorCode } from '../../system/error-code.ts';
import { openSecret, readSecret } from './read-secret.ts';
import { run } from '../../system/processes.ts';

/** Where a passphrase comes from. At most one source is set. */
export interface PassphraseRequest {
  /** Its first line is the passphrase. */
  file: string | null;
  /** A command line for the shell; the first line of its output is the passphrase. */
  command: string | null;
  /** The output of `vmferry key export`, which opens a store without a passphrase. */
  keyFile: string | null;
  /** The options that give a passphrase, for messages: `--passphrase-file or --passphrase-command`. */
  options: string;
}

/** Asks the user a question, and does not show the answer. */
export type AskSecret = (question: string, signal: AbortSignal) => Promise<string>;

/** Longer than any passphrase or exported key. */
const LIMIT_BYTES = 4096;

/**
 * A source of the passphrase or key, as the user requested. It throws Failure `key-missing` if there is none.
 * @param ask null: there is no terminal
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
          { advice: `Give it with ${request.options}.` },
        ),
      );
  return (use) => (use === 'new' ? askForNew(ask, signal) : ask('Passphrase of the store: ', signal));
}

/** Asks for a new passphrase now, and returns it from then on. Throws Failure `usage` if it is too short. */
export async function askedNow(source: PassphraseSource): Promise<PassphraseSource> {
  const secret = await source('new');
  if (typeof secret === 'string') refuseShortPassphrase(secret);
  return () => Promise.resolve(secret);
}

async function askForNew(ask: AskSecret, signal: AbortSignal): Promise<string> {
  const passphrase = await ask('New passphrase for the store: ', signal);
  if ((await ask('The same passphrase again: ', signal)) !== passphrase)
    throw new Failure('usage', 'The two passphrases differ.', { advice: 'Try again; nothing was changed.' });
  return passphrase;
}

async function readSecretFile(path: string, signal: AbortSignal): Promise<string> {
  try {
    const file = await openSecret(path);
    try {
      // Check the open file, so that it cannot be replaced in between.
      const { mode } = await file.stat();
      if ((mode & 0o007) !== 0)
        throw new Failure(
          'key-missing',
          `Everybody on this machine may read or change ${path}, so it is not used.`,
          {
            advice: `Restrict it to yourself: chmod 600 ${path}`,
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
      advice: 'It should contain the passphrase or the key of the store. Check the path.',
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
    `The passphrase command ‘${command}’ ${end}: ${stderr.trim() || 'it printed no error'}`,
  );
}

function decode(bytes: Uint8Array, what: string): string {
  if (bytes.length > LIMIT_BYTES) throw notUsable(`${what} is longer than any passphrase or key.`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw notUsable(`${what} is not text in UTF-8.`);
  }
}

function firstLine(text: string, what: string): string {
  const [line = ''] = text.split(/\r?\n/, 1);
  if (line === '') throw notUsable(`${what} begins with an empty line.`);
  // Undecodable bytes all become this character, which would make the passphrase easy to guess.
  if (line.includes('\uFFFD')) throw notUsable(`${what} is not text in UTF-8.`);
  return line;
}

function notUsable(message: string): Failure {
  return new Failure('key-missing', message, {
    advice: 'The first line must be the passphrase, as text. Write random bytes as hexadecimal digits.',
  });
}
