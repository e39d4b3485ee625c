import { createInterface } from 'node:readline';
import process from 'node:process';
import type { Readable, Writable } from 'node:stream';
import { Failure } from '../../failure.ts';
import type { StoreDependencies } from '../../operations/store-dependencies.ts';
import {
  backupStoreOptions,
  readStoreArguments,
  storeDescription,
  withStore,
} from '../backup-store-options.ts';
import type { Command } from '../command.ts';
import { formatBytes } from '../../figures.ts';
import { formatCount } from '../format.ts';
import { optionalText, text } from '../options.ts';

export const forgetCommand: Command<StoreDependencies> = {
  usage: 'forget <store> <guest>',
  summary: 'Delete all snapshots of a guest, and all that the store has of it, for good',
  define: (parser) =>
    parser
      .positional('store', { type: 'string', describe: storeDescription })
      .positional('guest', { type: 'string', describe: 'The guest, by its name' })
      .options({
        'yes-forget': {
          type: 'string',
          requiresArg: true,
          describe: 'The name once more, to confirm; on a terminal it is asked for',
        },
        ...backupStoreOptions,
      })
      .example('$0 forget /mnt/backups old-web', 'asks for the name, and deletes'),
  read: (args) => {
    const store = readStoreArguments(args, 'store');
    const guest = text(args, 'guest');
    const typed = optionalText(args, 'yes-forget');
    return (environment) =>
      withStore(store, null, environment, async ({ session }) => {
        const { forgetGuest } = await import('../../operations/forget-guest.ts');
        const { stdin, context } = environment;
        const confirm = async (count: number) =>
          typed ?? (await askForName(guest, count, { stdin, stderr: process.stderr }, context.signal));
        const report = await forgetGuest(guest, confirm, session, context);
        const count = formatCount(report.snapshots.length, 'snapshot');
        return {
          record: report,
          text: `${guest} is forgotten: ${count} deleted, ${formatBytes(report.freedBytes)} freed.`,
          isSummary: true,
        };
      });
  },
};

/** Throws Failure `usage` where there is no terminal to ask on. */
export async function askForName(
  guest: string,
  count: number,
  { stdin, stderr }: { stdin: Readable & { isTTY?: boolean }; stderr: Writable },
  signal: AbortSignal,
): Promise<string> {
  if (stdin.isTTY !== true)
    throw new Failure('usage', `Nobody is there to confirm that ${guest} is to be forgotten.`, {
      advice: `Give the name once more: --yes-forget ${guest}`,
    });
  const lines = createInterface({ input: stdin, output: stderr });
  const question = `This deletes ${formatCount(count, 'snapshot')} of ${guest} for good. Type the name to go on: `;
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
