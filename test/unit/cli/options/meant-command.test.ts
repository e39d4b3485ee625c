import { expect, test } from '@jest/globals';
import { commands } from '../../../../src/cli/commands.ts';
import { meantCommand } from '../../../../src/cli/options/meant-command.ts';

const names = commands
  .filter(({ usage }) => usage !== 'receive')
  .map(({ usage }) => usage.split(' ')[0] ?? '');

test.each([
  ['migrat', 'migrate'],
  ['migrte', 'migrate'],
  ['mirgate', 'migrate'],
  ['backkup', 'backup'],
  ['lst', 'list'],
  ['lits', 'list'],
  ['guest', 'guests'],
  ['strat', 'start'],
  ['status', 'guests'],
  ['stat', 'guests'],
  ['move', 'migrate'],
])('%s is taken for %s', (word, meant) => {
  expect(meantCommand(word, names)).toBe(meant);
});

/** Words that mean something else, although they are similar. */
test.each([
  'stop',
  'help',
  'mount',
  'says',
  'keeps',
  'salt',
  'hat',
  'purge',
  'restart',
  'store',
  'reset',
  'toString',
])('%s is taken for no command', (word) => {
  expect(meantCommand(word, names)).toBeNull();
});
