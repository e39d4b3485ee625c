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
  summary:
    'List, add and remove the passphrases of an encrypted store, or export its key to be kept on paper',
  define: (parser) =>
    parser
      .positional('action', { type: 'string', choices: actions, describe: 'What to do' })
      .positional('store', { type: 'string', describe: storeDescription })
      .positional('id', { type: 'string', describe: 'Of remove: the key, as list shows it' })
      .options({
        ...newPassphraseOptions,
        label: {
          type: 'string',
          requiresArg: true,
          describe: 'Of add: a name; it can be read on the server',
        },
        ...backupStoreOptions,
      })
      .example('$0 key list offsite', 'the keys, when they were made, and their labels')
      .example('$0 key add offsite --label laptop', 'asks for the passphrase, and for a new one')
      .example(
        '$0 key export offsite > key.txt',
        'opens everything without a passphrase: print it, then remove it',
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

/** What each action reads of the arguments, and does then. */
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
      return { record: report, text: `The new passphrase opens ${report.store}, by its key ${report.key}.` };
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
    `The passphrase of ${key} does not open ${store} any more. ` +
    'Whoever has a copy of that key, and its passphrase, still can: the store’s own key is the same as before.'
  );
}
