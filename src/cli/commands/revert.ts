import type { MigrateDependencies } from '../../operations/migrate/migrate-dependencies.ts';
import type { RevertReport } from '../../operations/migrate/revert.ts';
import type { Command } from '../options/command.ts';
import { formatFields } from '../terminal/format.ts';
import { flag, text } from '../options/options.ts';
import { bootOptions, haltOptions, readBootOptions, readHaltOptions } from '../options/guest-options.ts';
import { processText } from '../texts/process-text.ts';

export const revertCommand: Command<MigrateDependencies> = {
  usage: 'revert <guest>',
  summary: 'Take a move back: halt the guest on the new hardware, and start it here from the old image',
  define: (parser) =>
    parser
      .positional('guest', { type: 'string', describe: 'A guest that was moved away from here' })
      .options({
        'new-host-is-gone': {
          type: 'boolean',
          describe: 'Do not contact the new hardware: it will never run the guest again',
        },
        ...haltOptions,
        ...bootOptions,
      })
      .example('$0 revert web', 'web runs here again; what it wrote on the new hardware stays there')
      .example('$0 revert web --new-host-is-gone', 'the new hardware is lost for good'),
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
  [true, 'halted; its image stays there, with everything written since the move'],
  [false, 'was not running; its image stays there'],
  [null, 'not contacted'],
]);

export function revertReportText({ guest, pid, consoleLog, wasRunningThere }: RevertReport): string {
  const fields = formatFields([
    ['here', consoleLog === null ? 'it was never halted' : `as before the move; console log ${consoleLog}`],
    ['there', thereText.get(wasRunningThere) ?? ''],
  ]);
  return `${guest} runs here again${processText(pid)}.\n\n${fields}`;
}
