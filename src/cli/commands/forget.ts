import { createInterface } from 'node:readline';
import process from 'node:process';
import type { Readable, Writable } from 'node:stream';
import { Failure } from '../../failure.ts';
import type { Context } from '../../events.ts';
import type { StoreSession } from '../../operations/store-access/store-session.ts';
import type { StoreDependencies } from '../../operations/store-access/store-dependencies.ts';
import {
  backupStoreOptions,
  readStoreArguments,
  storeDescription,
  withStore,
} from '../options/backup-store-options.ts';
import type { Command } from '../options/command.ts';
import { formatBytes } from '../../figures.ts';
import { formatCount } from '../terminal/format.ts';
import { optionalText, text } from '../options/options.ts';

export const forgetCommand: Command<StoreDependencies> = {
  usage: 'forget <store> <guest>',
  summary: 'Delete a guest and all its snapshots from a store, or one snapshot, for good',
  define: (parser) =>
    parser
      .positional('store', { type: 'string', describe: storeDescription })
      .positional('guest', { type: 'string', describe: 'Name of the guest, or GUEST@ID for one snapshot' })
      .options({
        'yes-forget': {
          type: 'string',
          requiresArg: true,
          describe: 'The name again, to confirm; without it, vmferry asks on the terminal',
        },
        ...backupStoreOptions,
      })
      .example('$0 forget /mnt/backups old-web', 'asks for the name, then deletes the guest')
      .example('$0 forget /mnt/backups web@20261122T030000Z-1f3a9c2e', 'deletes one snapshot'),
  read: (args) => {
    const store = readStoreArguments(args, 'store');
    const guest = text(args, 'guest');
    const typed = optionalText(args, 'yes-forget');
    return (environment) =>
      withStore(store, null, environment, async ({ session }) => {
        const { forgetGuest } = await import('../../operations/stores/forget-guest.ts');
        const { stdin, context } = environment;
        const ask = (name: string, what: string) =>
          askForName(name, what, { stdin, stderr: process.stderr }, context.signal);
        const reference = await oneSnapshot(guest, session, context);
        if (reference !== null) {
          const { forgetSnapshot } = await import('../../operations/stores/forget-snapshot.ts');
          const confirmOne = async (name: string) => typed ?? (await ask(name, `the snapshot ${name}`));
          const report = await forgetSnapshot(reference, confirmOne, session, context);
          const name = `${report.guest}@${report.snapshots[0]}`;
          return {
            record: report,
            text: `Deleted ${name}. To free its space: vmferry prune`,
          };
        }
        const confirm = async (count: number) =>
          typed ?? (await ask(guest, `${formatCount(count, 'snapshot')} of ${guest}`));
        const report = await forgetGuest(guest, confirm, session, context);
        const count = formatCount(report.snapshots.length, 'snapshot');
        return {
          record: report,
          text: `Deleted ${guest}: ${count}, ${formatBytes(report.freedBytes)} freed.`,
          isSummary: true,
        };
      });
  },
};

/** The reference to one snapshot; null for a guest, whose name may contain an @. */
async function oneSnapshot(typed: string, session: StoreSession, { signal }: Pick<Context, 'signal'>) {
  if (!typed.includes('@') || (await session.guests(signal)).includes(typed)) return null;
  const { parseSnapshotReference } = await import('../../operations/store-access/choose-snapshot.ts');
  return parseSnapshotReference(typed);
}

/** Throws Failure `usage` if stdin is no terminal. */
export async function askForName(
  name: string,
  what: string,
  { stdin, stderr }: { stdin: Readable & { isTTY?: boolean }; stderr: Writable },
  signal: AbortSignal,
): Promise<string> {
  if (stdin.isTTY !== true)
    throw new Failure('usage', `Deleting ${name} must be confirmed, and there is no terminal to ask on.`, {
      advice: `Confirm with the name: --yes-forget ${name}`,
    });
  const lines = createInterface({ input: stdin, output: stderr });
  const question = `This deletes ${what} for good. Type ${name} to go on: `;
  try {
    return await new Promise<string>((resolve, reject) => {
      signal.throwIfAborted();
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      lines.once('close', () => resolve(''));
      lines.question(question, (line) => resolve(line.trim()));
    });
  } finally {
    lines.close();
  }
}
