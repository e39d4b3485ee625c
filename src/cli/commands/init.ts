import { Failure } from '../../failure.ts';
import type { StoreDependencies } from '../../operations/store-access/store-dependencies.ts';
import type { StoreMadeReport } from '../../operations/stores/init-store.ts';
import { quoteForShell } from '../../quote-for-shell.ts';
import {
  backupStoreOptions,
  readStoreArguments,
  storeDescription,
  withStore,
} from '../options/backup-store-options.ts';
import type { Command } from '../options/command.ts';
import { flag, type Arguments } from '../options/options.ts';

const { 'key-file': _, ...storeOptions } = backupStoreOptions;

/** `vmferry init`: no other command makes a store. */
export const initCommand: Command<StoreDependencies> = {
  usage: 'init [store]',
  summary: 'Make a new store for backups: a directory, or a path on any SFTP server',
  define: (parser) =>
    parser
      .positional('store', { type: 'string', describe: storeDescription })
      .options({
        encrypt: {
          type: 'boolean',
          describe: 'Encrypt the store: without its passphrase nobody can read the backups',
        },
        'no-encrypt': {
          type: 'boolean',
          describe: 'Do not encrypt: anyone who gets the files can read the guests',
        },
        ...storeOptions,
      })
      .example('$0 init backup@example.org:vmferry --encrypt', 'asks for a passphrase')
      .example('$0 init /mnt/backups --no-encrypt', 'a directory; its parent must exist'),
  read: (args) => {
    const encrypt = readEncrypt(args);
    const storeArguments = readStoreArguments(args, 'store');
    storeArguments.passphrase.options = '--passphrase-file or --passphrase-command';
    return (environment) =>
      withStore(storeArguments, { kind: 'new', encrypt }, environment, async ({ session }) => {
        const { storeMade } = await import('../../operations/stores/init-store.ts');
        const report = storeMade(session);
        return { record: report, text: storeMadeText(report, storeArguments.store) };
      });
  },
};

function readEncrypt(args: Arguments): boolean {
  const [encrypt, plain] = [flag(args, 'encrypt'), flag(args, 'no-encrypt')];
  if (encrypt && plain) throw new Failure('usage', '--encrypt and --no-encrypt exclude each other.');
  if (!encrypt && !plain)
    throw new Failure('usage', 'Choose whether the new store is encrypted: this cannot be changed later.', {
      advice: 'Add --encrypt, or --no-encrypt.',
    });
  return encrypt;
}

/** @param typedStore the store as typed; null for the configuration's default */
export function storeMadeText(
  { store, encrypted }: Pick<StoreMadeReport, 'store' | 'encrypted'>,
  typedStore: string | null,
): string {
  const to = typedStore === null ? '' : ` --to ${quoteForShell(typedStore)}`;
  const named = typedStore === null ? '' : ` ${quoteForShell(typedStore)}`;
  return [
    encrypted
      ? `Made the encrypted store ${store}. Without its passphrase or its key nothing can be restored.`
      : `Made the store ${store}, not encrypted: anyone who gets its files can read the guests.`,
    ...(encrypted ? [`Keep its key on paper, in another place: vmferry key export${named}`] : []),
    `Back up to it: vmferry backup GUEST${to}`,
  ].join('\n');
}
