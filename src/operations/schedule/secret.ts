import type { ResolvedStore } from '../../config/resolve-store.ts';
import type { Context } from '../../events.ts';
import { asFailure } from '../../failure.ts';
import { createPassphraseSource } from '../store-access/passphrase-source.ts';
import type { ScheduleRequest } from './plan.ts';

/**
 * Reads the file of the passphrase or key once, because nobody would notice at night that it is missing.
 * Throws Failure `key-missing` or `key-wrong`, as the backup would. For units that are only printed it warns
 * instead: they may be for another machine. A command is not run: it may ask the user.
 */
export async function checkSecretFile(
  { passphrase, output }: ScheduleRequest,
  store: ResolvedStore,
  environment: NodeJS.ProcessEnv,
  { signal, report }: Context,
): Promise<void> {
  const request = chosenSecret(passphrase, store, environment);
  if (request.file === null && request.keyFile === null) return;
  try {
    await createPassphraseSource({ ...request, command: null, options: '' }, null, signal)('open');
  } catch (error) {
    if (output === 'units') throw error;
    report({ type: 'warning', code: 'other', message: asFailure(error).message });
  }
}

/** The file that the backup would choose: from an option, then the environment, then the configuration. */
function chosenSecret(
  given: ScheduleRequest['passphrase'],
  store: ResolvedStore,
  environment: NodeJS.ProcessEnv,
): Omit<ScheduleRequest['passphrase'], 'command'> {
  if (given.file !== null || given.command !== null || given.keyFile !== null) return given;
  if (environment['VMFERRY_PASSPHRASE_COMMAND']) return { file: null, keyFile: null };
  return { file: environment['VMFERRY_PASSPHRASE_FILE'] || store.passphraseFile, keyFile: null };
}
