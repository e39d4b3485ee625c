import { expect, test } from '@jest/globals';
import { refuseTooLarge } from '../../../../src/operations/backup/capture-disks.ts';
import { codeOf } from '../../../support/failures.ts';

test('a disk of up to 64 TiB can be kept in a store', async () => {
  expect(() => refuseTooLarge('/srv/web.img', 2 ** 46)).not.toThrow();
  expect(await codeOf(() => refuseTooLarge('/srv/web.img', 2 ** 46 + 512))).toBe('guest-unsupported');
});
