import { expect, test } from '@jest/globals';
import { shortcomingsWithout } from '../../../../src/store/sftp/shortcomings.ts';

test('there is one full sentence for each missing extension', () => {
  expect(shortcomingsWithout(() => true, 'nas')).toEqual([]);
  const all = shortcomingsWithout(() => false, 'nas');
  expect(all.length).toBe(2);
  for (const sentence of all) expect(sentence).toMatch(/^The SFTP server of nas .*\.$/);
  expect(shortcomingsWithout((name) => name !== 'fsync@openssh.com', 'nas')).toEqual([all[0]]);
});
