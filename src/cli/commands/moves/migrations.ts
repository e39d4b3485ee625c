import { formatTime } from '../../../figures.ts';
import type { MigrateDependencies } from '../../../operations/migrate/migrate-dependencies.ts';
import type { MoveSummary } from '../../../operations/moves/list-moves.ts';
import type { Command } from '../../options/command.ts';
import { formatTable } from '../../terminal/format.ts';

export const migrationsCommand: Command<MigrateDependencies> = {
  usage: 'migrations',
  summary: 'List the moves that this machine knows of, and what can be done now',
  define: (parser) =>
    parser
      .example('$0 migrations', 'guest, state, the other machine, time, and the commands to type')
      .example('$0 migrations --json', 'the same as JSON'),
  read:
    () =>
    async ({ dependencies }) => {
      const { listMoves } = await import('../../../operations/moves/list-moves.ts');
      const moves = await listMoves(dependencies.records);
      return { record: { type: 'migrations', moves }, text: migrationsText(moves) };
    },
};

const stateTexts: Readonly<Record<MoveSummary['state'], (other: string) => string>> = {
  copying: (other) => `runs here, and is being copied to ${other}`,
  held: (other) => `runs here; its copy on ${other} is kept close`,
  moving: (other) => `is being moved to ${other}`,
  'copy-broken-off': (other) => `is here; copying it to ${other} broke off`,
  'broken-off': (other) => `on its way to ${other}, and the move broke off`,
  unknown: (other) => `moved to ${other}, and may not have come up there`,
  moved: (other) => `runs on ${other} since the move`,
  committed: (other) => `moved to ${other} for good`,
  'taken-back': (other) => `taken back to ${other}`,
  here: (other) => `here; before, it was on ${other}`,
  unreadable: () => 'its record cannot be read',
};

export function migrationsText(moves: readonly MoveSummary[]): string {
  if (moves.length === 0) return 'This machine knows of no move.';
  const rows = moves.map(({ guest, state, other, changedAt, commands, pid }) => [
    guest,
    stateTexts[state](other ?? 'another machine'),
    changedAt === null ? '-' : formatTime(changedAt),
    pid === null || commands.length > 0 ? commands.join(', or ') : `wait for process ${pid}`,
  ]);
  const problems = moves.flatMap(({ guest, problem }) =>
    problem === null ? [] : [[`${guest}: ${problem.message}`, problem.advice].filter(Boolean).join(' ')],
  );
  const table = formatTable(['guest', 'state', 'changed', 'what can be done'], rows, new Set());
  return [table, ...(problems.length === 0 ? [] : [problems.join('\n')])].join('\n\n');
}
