import type { MigrateDependencies } from '../../operations/migrate/migrate-dependencies.ts';
import type { RevertReport } from '../../operations/migrate/revert.ts';
import type { Command } from '../options/command.ts';
import { formatFields } from '../terminal/format.ts';
import { flag, text } from '../options/options.ts';
import { bootOptions, haltOptions, readBootOptions, readHaltOptions } from '../options/guest-options.ts';

export const revertCommand: Command<MigrateDependencies> = {
  usage: 'revert <guest>',
  summary: 'Take a move back: halt the guest where it went, and start it here as it was before',
  define: (parser) =>
    parser
      .positional('guest', { type: 'string', describe: 'A guest that was moved away from here' })
      .options({
        'new-host-is-gone': {
          type: 'boolean',
          describe: 'Do not ask the new hardware: it will never run the guest again',
        },
        ...haltOptions,
        ...bootOptions,
      })
      .example('$0 revert web', 'web runs here again; what it wrote over there stays there')
      .example('$0 revert web --new-host-is-gone', 'the new hardware has burnt down'),
  read: (args) => {
    const request = {
      guest: text(args, 'guest'),
      newHostIsGone: flag(args, 'new-host-is-gone'),
      ...readHaltOptions(args),
      ...readBootOptions(args),
    };
    return async ({ dependencies, context }) => {
      const { revertMigration } = await import('../../operations/migrate/revert.ts');
      const report = await revertMigration(request, dependencies, context);
      return { record: report, text: revertReportText(report), isSummary: true };
    };
  },
};

const thereText = new Map([
  [true, 'halted; its image there stays, with what it wrote since'],
  [false, 'was not running; its image there stays'],
  [null, 'was not asked'],
]);

export function revertReportText({ guest, pid, consoleLog, wasRunningThere }: RevertReport): string {
  const fields = formatFields([
    [
      'here',
      consoleLog === null ? 'it had not been halted' : `as it was before the move; console log ${consoleLog}`,
    ],
    ['there', thereText.get(wasRunningThere) ?? ''],
  ]);
  return `${guest} runs here again (pid ${pid}).\n\n${fields}`;
}
