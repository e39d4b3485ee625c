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
  'a kernel is one, with its mark at %i',
  async (before) => {
    write({ before });
    expect(await refuseStrangeKernel(file)).toBeNull();
  },
);

test.each([
  { what: 'a script', start: '#!/bin/sh\nexec rm -rf "$@"' },
  { what: 'another program', mark: 'Usage: rm' },
])('$what is none', async (changes) => {
  write(changes);
  expect(await refuseStrangeKernel(file)).toMatchObject({
    code: 'hypervisor-missing',
    message: expect.stringMatching(/ not encrypted.* not a User Mode Linux kernel/),
  });
});

test('an empty file is none', async () => {
  writeFileSync(file, '');
  expect(await refuseStrangeKernel(file)).not.toBeNull();
});

test.each([0o775, 0o757])('one that others can write to, of mode %o, is not trusted', async (mode) => {
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
  test('is one', async () => {
    expect(await refuseStrangeKernel(findTool('linux.uml') ?? '')).toBeNull();
  });
});

test('a kernel is none where others may put another file in its place', async () => {
  write();
  chmodSync(scratch.path, 0o777);
  expect(await refuseStrangeKernel(file)).toMatchObject({
    message: expect.stringContaining('accounts other than root and this one could have written it'),
  });
  chmodSync(scratch.path, 0o700);
  expect(await refuseStrangeKernel(file)).toBeNull();
});
