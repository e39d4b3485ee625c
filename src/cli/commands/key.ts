import { formatTimeWithZone } from '../../figures.ts';
import { Failure } from '../../failure.ts';
import type { KeyListReport } from '../../operations/stores/store-key.ts';
import type { StoreDependencies } from '../../operations/store-access/store-dependencies.ts';
import {
  backupStoreOptions,
  readStoreArguments,
  storeDescription,
  withStore,
} from '../options/backup-store-options.ts';
import type { Command, CommandEnvironment } from '../options/command.ts';
import { formatTable } from '../terminal/format.ts';
import { optionalText, text, type Arguments } from '../options/options.ts';
import {
  newPassphraseOptions,
  openPassphraseSource,
  readNewPassphraseOptions,
} from '../options/passphrase-options.ts';
import type { CommandResult } from '../reporters/reporter.ts';

const actions = ['list', 'add', 'remove', 'export'] as const;

/** `vmferry key`: the passphrases that open an encrypted store. */
export const keyCommand: Command<StoreDependencies> = {
  usage: 'key <action> <store> [id]',
  summary: 'List, add and remove the passphrases of an encrypted store, or export its key to keep on paper',
  define: (parser) =>
    parser
      .positional('action', { type: 'string', choices: actions, describe: 'What to do' })
      .positional('store', { type: 'string', describe: storeDescription })
      .positional('id', { type: 'string', describe: 'For remove: the id of the key, from key list' })
      .options({
        ...newPassphraseOptions,
        label: {
          type: 'string',
          requiresArg: true,
          describe: 'For add: a label, which is readable on the server',
        },
        ...backupStoreOptions,
      })
      .example('$0 key list offsite', 'the keys with their dates and labels')
      .example('$0 key add offsite --label laptop', 'asks for the passphrase, then for the new one')
      .example(
        '$0 key export offsite > key.txt',
        'print it, then delete the file: it opens the store without a passphrase',
      ),
  read: (args) => {
    const action = actions.find((word) => word === args['action']);
    if (action === undefined) throw new Failure('usage', `vmferry key takes one of: ${actions.join(', ')}.`);
    const id = optionalText(args, 'id');
    if (id !== null && action !== 'remove') throw new Failure('usage', `vmferry key ${action} takes no id.`);
    const run = runActions[action](args);
    const store = readStoreArguments(args, 'store');
    return (environment) => withStore(store, null, environment, ({ session }) => run(session, environment));
  },
};

type Environment = CommandEnvironment<StoreDependencies>;
type Session = Parameters<Parameters<typeof withStore>[3]>[0]['session'];
type RunAction = (session: Session, environment: Environment) => Promise<CommandResult>;

const load = () => import('../../operations/stores/store-key.ts');

/** For each action: reads its arguments, and returns what it runs. */
const runActions: Record<(typeof actions)[number], (args: Arguments) => RunAction> = {
  list:
    () =>
    async (session, { context }) => {
      const report = await (await load()).listStoreKeys(session, context);
      return { record: report, text: keyListText(report) };
    },
  add: (args) => {
    const request = readNewPassphraseOptions(args);
    const label = optionalText(args, 'label') ?? '';
    return async (session, environment) => {
      const source = await openPassphraseSource(request, environment);
      const report = await (await load()).addStoreKey(session, source, { label }, environment.context);
      return {
        record: report,
        text: `Added the key ${report.key}: the new passphrase opens ${report.store}.`,
      };
    };
  },
  remove: (args) => {
    const id = text(args, 'id');
    return async (session, { context }) => {
      const report = await (await load()).removeStoreKey(session, id, context);
      return { record: report, text: keyRemovedText(report) };
    };
  },
  export: () => async (session) => {
    const report = (await load()).exportStoreKey(session);
    return { record: report, text: report.text.trimEnd() };
  },
};

export function keyListText({ keys }: KeyListReport): string {
  const rows = keys.map(({ id, createdAt, label }) => [id, formatTimeWithZone(createdAt), label]);
  return formatTable(['key', 'made', 'label'], rows);
}

export function keyRemovedText({ store, key }: { store: string; key: string }): string {
  return (
    `Removed the key ${key}: its passphrase no longer opens ${store}. ` +
    'Anyone with a copy of that key and its passphrase can still open the store, because the store’s own key has not changed.'
  );
}
