import { chmodSync, chownSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { refuseStrangeKernel } from '../../../../../src/guest/drivers/uml/kernel-file.ts';
import { scratchDirectory } from '../../../../support/images/images.ts';
import { describeWithTools, findTool } from '../../../../support/programs/tools.ts';

let scratch: ReturnType<typeof scratchDirectory>;
let file: string;

beforeEach(() => {
  scratch = scratchDirectory();
  file = join(scratch.path, 'linux');
});

afterEach(() => scratch[Symbol.dispose]());

function write({ start = '\x7FELF', before = 64, mark = 'User Mode Linux v%s', mode = 0o755 } = {}): void {
  const bytes = Buffer.alloc(before + 2 ** 20);
  bytes.write(start, 0, 'latin1');
  bytes.write(mark, before);
  writeFileSync(file, bytes);
  chmodSync(file, mode);
}

test.each([64, 2 ** 20 - 5, 2 ** 20, 3 * 2 ** 20 - 1])(
  'a kernel with its mark at %i is accepted',
  async (before) => {
    write({ before });
    expect(await refuseStrangeKernel(file)).toBeNull();
  },
);

test.each([
  { what: 'a script', start: '#!/bin/sh\nexec rm -rf "$@"' },
  { what: 'another program', mark: 'Usage: rm' },
])('$what is refused', async (changes) => {
  write(changes);
  expect(await refuseStrangeKernel(file)).toMatchObject({
    code: 'hypervisor-missing',
    message: expect.stringMatching(/ not encrypted.* not a User Mode Linux kernel/),
  });
});

test('an empty file is refused', async () => {
  writeFileSync(file, '');
  expect(await refuseStrangeKernel(file)).not.toBeNull();
});

test.each([0o775, 0o757])('a kernel that others can write to (mode %o) is refused', async (mode) => {
  write({ mode });
  expect((await refuseStrangeKernel(file))?.message).toContain('could have written it');
});

const isRoot = process.getuid?.() === 0;
(isRoot ? test : test.skip)('one of another account is not trusted', async () => {
  write();
  chownSync(file, 12_345, 0);
  expect((await refuseStrangeKernel(file))?.message).toContain('could have written it');
});

describeWithTools('the kernel that is installed', ['linux.uml'], () => {
  test('is accepted', async () => {
    expect(await refuseStrangeKernel(findTool('linux.uml') ?? '')).toBeNull();
  });
});

test('a kernel is refused if others may put another file in its place', async () => {
  write();
  chmodSync(scratch.path, 0o777);
  expect(await refuseStrangeKernel(file)).toMatchObject({
    message: expect.stringContaining('accounts other than root and this one could have written it'),
  });
  chmodSync(scratch.path, 0o700);
  expect(await refuseStrangeKernel(file)).toBeNull();
});
