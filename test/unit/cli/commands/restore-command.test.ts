import { expect, test } from '@jest/globals';
import { restoreCommand } from '../../../../src/cli/commands/restore.ts';
import { parseCommandLine } from '../../../../src/cli/options/parse.ts';
import { codeOf } from '../../../support/failures.ts';

const parse = (...options: string[]) =>
  parseCommandLine(['restore', '/srv/store', 'web', '--to', '/srv/web.img', ...options], [restoreCommand], {
    version: '0.0.0',
    columns: 80,
  });

test('--old-host-is-gone is refused without --start', async () => {
  expect(await codeOf(() => parse('--old-host-is-gone'))).toBe('usage');
  expect(await parse('--old-host-is-gone', '--start')).toMatchObject({ kind: 'command' });
});
