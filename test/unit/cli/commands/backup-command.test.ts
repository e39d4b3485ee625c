import { expect, test } from '@jest/globals';
import { refuseIncomplete } from '../../../../src/cli/commands/backup.ts';
import { failureOf } from '../../../support/failures.ts';

const mail = { guest: 'mail', code: 'image-in-use', message: 'It is open.', advice: 'End qemu.' } as const;
const web = { guest: 'web', code: 'guest-left-down', message: 'It is down.' } as const;

test('a guest without a new snapshot is a failure with advice', async () => {
  expect(await failureOf(() => refuseIncomplete({ failed: [mail] }))).toMatchObject({
    code: 'image-in-use',
    message: 'There is no new snapshot of mail.',
    advice: 'End qemu.',
  });
});

test('the worst of several failures is thrown', async () => {
  expect(await failureOf(() => refuseIncomplete({ failed: [mail, web] }))).toMatchObject({
    code: 'guest-left-down',
    message: 'Not backed up, or down: mail, web.',
    advice: expect.stringMatching(/^web: Fix the error/),
  });
});

test('if all guests were backed up, there is no failure', () => {
  expect(() => refuseIncomplete({ failed: [] })).not.toThrow();
});
