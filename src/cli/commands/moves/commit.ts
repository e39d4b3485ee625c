import type { MigrateDependencies } from '../../../operations/migrate/migrate-dependencies.ts';
import type { CommitReport } from '../../../operations/migrate/commit.ts';
import type { Command } from '../../options/command.ts';
import { flag, text } from '../../options/options.ts';

export const commitCommand: Command<MigrateDependencies> = {
  usage: 'commit <guest>',
  summary: 'End the way back of a move, after a look that the guest runs on the new hardware',
  define: (parser) =>
    parser
      .positional('guest', { type: 'string', describe: 'A guest that was moved away from here' })
      .options({
        'delete-source': {
          type: 'boolean',
          describe: 'Delete its images here, once it was seen to run there; block devices stay as they are',
        },
      })
      .example('$0 commit web', 'web stays on the new hardware; revert is refused from now on'),
  read: (args) => {
    const guest = text(args, 'guest');
    const deleteSource = flag(args, 'delete-source');
    return async ({ dependencies, context }) => {
      const { commitMove } = await import('../../../operations/migrate/commit.ts');
      const report = await commitMove(guest, deleteSource, dependencies, context);
      return { record: report, text: commitReportText(report), isSummary: true };
    };
  },
};

export function commitReportText({ guest, destination, images, deleted }: CommitReport): string {
  return [
    `${guest} runs on ${destination}, and stays there: the move is committed.`,
    ...(deleted.length === 0 ? [] : [`Deleted here: ${deleted.join(', ')}`]),
    ...(images.length === 0
      ? []
      : [
          `Its old image is unchanged: ${images.join(', ')}`,
          ...(deleted.length === 0 ? ['Delete it when you no longer need it.'] : []),
        ]),
  ].join('\n');
}
