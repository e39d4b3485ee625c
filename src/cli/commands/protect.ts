import type { StoreDependencies } from '../../operations/store-access/store-dependencies.ts';
import {
  backupStoreOptions,
  readStoreArguments,
  storeDescription,
  withStore,
} from '../options/backup-store-options.ts';
import type { Command } from '../options/command.ts';
import { text } from '../options/options.ts';

export const protectCommand = protectionCommand(
  'protect',
  true,
  'Protect a snapshot: no prune removes it',
  'keep it, whatever the rules say',
);

export const unprotectCommand = protectionCommand(
  'unprotect',
  false,
  'Let prunes remove a snapshot again',
  'the rules decide again',
);

function protectionCommand(
  word: string,
  isProtected: boolean,
  summary: string,
  example: string,
): Command<StoreDependencies> {
  return {
    usage: `${word} <store> <snapshot>`,
    summary,
    define: (parser) =>
      parser
        .positional('store', { type: 'string', describe: storeDescription })
        .positional('snapshot', {
          type: 'string',
          describe: 'GUEST@WHEN; WHEN is latest, an id or its beginning, or a time',
        })
        .options(backupStoreOptions)
        .example(`$0 ${word} /mnt/backups web@2026-11-22`, example),
    read: (args) => {
      const store = readStoreArguments(args, 'store');
      const snapshot = text(args, 'snapshot');
      return (environment) =>
        withStore(store, null, environment, async ({ session }) => {
          const { protectSnapshot } = await import('../../operations/stores/protect-snapshot.ts');
          const report = await protectSnapshot(snapshot, isProtected, session, environment.context);
          const what = isProtected ? 'is protected: no prune removes it' : 'is no longer protected';
          return { record: report, text: `${report.guest}@${report.snapshot} ${what}.`, isSummary: true };
        });
    },
  };
}
