import { expect, test } from '@jest/globals';
import { migrateCommand } from '../../../../src/cli/commands/migrate.ts';
import { parseCommandLine } from '../../../../src/cli/options/parse.ts';
import { movedGuestsResult } from '../../../../src/cli/texts/moved-guests-text.ts';

function parse(...words: string[]) {
  return parseCommandLine(['migrate', ...words], [migrateCommand], { version: '1', columns: 80 });
}

test.each([
  [['--to', 'newhost'], /No guest was given/],
  [['web', 'db', 'web', '--to', 'newhost'], /^web is named twice\.$/],
  [['web', '--all', '--to', 'newhost'], /--all is for all guests/],
  [['web', 'db', '--disk', 'root=/dev/vg0/web', '--to', 'newhost'], /--disk names a disk of one guest/],
  [['--all', '--disk', 'root=/dev/vg0/web', '--to', 'newhost'], /--disk names a disk of one guest/],
])('migrate %j is refused', async (words, message) => {
  await expect(parse(...words)).rejects.toMatchObject({
    code: 'usage',
    message: expect.stringMatching(message),
  });
});

test('several guests, all of them, or one with a place for its disk can be moved', async () => {
  for (const words of [
    ['web', 'db'],
    ['--all', '--keep-going'],
    ['web', '--disk', 'root=/dev/vg0/web'],
  ])
    expect(await parse(...words, '--to', 'newhost')).toMatchObject({ kind: 'command' });
});

test('what became of each guest is told', () => {
  const report = {
    type: 'guests-moved',
    destination: 'newhost',
    guests: [],
    failed: [{ guest: 'db', code: 'halt-failed', message: 'It did not halt.' }],
    notBegun: ['mail'],
  } as const;
  const { text, failure } = movedGuestsResult(report);
  expect(text.split('\n')).toEqual([
    'guest  now',
    'db     was not moved (halt-failed)',
    'mail   stays as it is',
  ]);
  expect(failure).toMatchObject({ code: 'halt-failed', message: 'Not moved: db. Not begun: mail.' });
  expect(movedGuestsResult({ ...report, failed: [], notBegun: [] }).text).toBe('No guest runs here.');
});
