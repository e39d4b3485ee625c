import { expect, test } from '@jest/globals';
import { refuseIncomplete } from '../../../../src/cli/commands/backup.ts';
import { failureOf } from '../../../support/failures.ts';

const mail = { guest: 'mail', code: 'image-in-use', message: 'It is open.', advice: 'End qemu.' } as const;
const web = { guest: 'web', code: 'guest-left-down', message: 'It is down.' } as const;

test('what was not backed up is a failure, with what to do about it', async () => {
  expect(await failureOf(() => refuseIncomplete({ failed: [mail] }))).toMatchObject({
    code: 'image-in-use',
    message: 'There is no new snapshot of mail.',
    advice: 'End qemu.',
  });
});

test('of several it is that of the worst', async () => {
  expect(await failureOf(() => refuseIncomplete({ failed: [mail, web] }))).toMatchObject({
    code: 'guest-left-down',
    message: 'Not backed up, or down: mail, web.',
    advice: expect.stringMatching(/^web: Fix the error/),
  });
});

test('where all were backed up there is none', () => {
  expect(() => refuseIncomplete({ failed: [] })).not.toThrow();
});
