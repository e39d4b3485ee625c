import { expect, test } from '@jest/globals';
import type { ImageUser } from '../../../../src/image/usage/usage.ts';
import { describeUsers } from '../../../../src/image/usage/describe-users.ts';

const open = (name: string, pid: number): ImageUser => ({
  kind: 'process',
  pid,
  name,
  description: `is open in ${name} (process ${pid})`,
});
const lock: ImageUser = {
  kind: 'lock',
  pid: 7,
  name: 'linux.uml',
  description: 'is locked by linux.uml (process 7)',
};

test('one process is described with its program and pid', () => {
  expect(describeUsers([open('qemu', 12)])).toBe('is open in qemu (process 12)');
});

test('a program is named once, with three of its processes at most', () => {
  const helpers = [8, 9, 10, 11, 12].map((pid) => open('linux.uml', pid));
  expect(describeUsers([lock, ...helpers.slice(0, 2), open('dd', 50), ...helpers.slice(2)])).toBe(
    'is locked by linux.uml (process 7), and is open in linux.uml (processes 8, 9, 10 and 2 more), ' +
      'and is open in dd (process 50)',
  );
  expect(describeUsers(helpers.slice(0, 3))).toBe('is open in linux.uml (processes 8, 9, 10)');
});
