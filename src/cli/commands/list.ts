import type { Argv } from 'yargs';
import type { StoreDependencies } from '../../operations/store-access/store-dependencies.ts';
import {
  backupStoreOptions,
  readStoreArguments,
  storeDescription,
  withStore,
} from '../options/backup-store-options.ts';
import type { Command } from '../options/command.ts';
import { optionalText } from '../options/options.ts';
import { localTimeZone } from '../../figures.ts';
import { listingText, timesNote } from '../texts/list-text.ts';

export const listCommand: Command<StoreDependencies> = {
  usage: 'list [store] [guest]',
  summary: 'List the snapshots in a store: time, size, consistency, last verification',
  define: (parser: Argv) =>
    parser
      .positional('store', { type: 'string', describe: storeDescription })
      .positional('guest', { type: 'string', describe: 'Only this guest' })
      .options(backupStoreOptions)
      .example('$0 list /mnt/backups', 'all guests in the store')
      .example('$0 list backup@example.org:vmferry web --json', 'one guest, as JSON'),
  read: (args) => {
    const storeArguments = readStoreArguments(args, 'store');
    const guest = optionalText(args, 'guest');
    return async (environment) => {
      const { listStore } = await import('../../operations/stores/list-store.ts');
      return withStore(storeArguments, null, environment, async ({ session }) => {
        const listing = await listStore(guest, session, environment.context);
        return { record: listing, text: `${listingText(listing)}${timesNote(listing, localTimeZone())}` };
      });
    };
  },
};
