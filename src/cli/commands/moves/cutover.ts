import type { MigrateDependencies } from '../../../operations/migrate/migrate-dependencies.ts';
import type { CutoverReport } from '../../../operations/moves/cutover.ts';
import type { Command } from '../../options/command.ts';
import { text } from '../../options/options.ts';

export const cutoverCommand: Command<MigrateDependencies> = {
  usage: 'cutover <guest>',
  summary: 'Halt a guest whose copy is kept close to it (migrate --hold), and move it now',
  define: (parser) =>
    parser
      .positional('guest', {
        type: 'string',
        describe: 'A guest that a migrate with --hold or --cutover copies',
      })
      .example('$0 cutover web', 'web is halted after one more pass; its migrate goes on'),
  read: (args) => {
    const guest = text(args, 'guest');
    return async ({ dependencies }) => {
      const { cutOver } = await import('../../../operations/moves/cutover.ts');
      const report = await cutOver(guest, dependencies.records);
      return { record: report, text: cutoverReportText(report), isSummary: true };
    };
  },
};

export function cutoverReportText({ guest, destination, pid }: CutoverReport): string {
  return `${guest} moves to ${destination} now: process ${pid} goes on.`;
}
