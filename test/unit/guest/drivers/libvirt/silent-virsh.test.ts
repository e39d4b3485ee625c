import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createLibvirtDriver } from '../../../../../src/guest/drivers/libvirt/driver.ts';
import { failureOf } from '../../../../support/failures.ts';
import { scratchDirectory } from '../../../../support/images/images.ts';

const context = { signal: new AbortController().signal, report: () => undefined };
const uuid = '4d1c0ff0-0000-4000-8000-000000000001';
let scratch: ReturnType<typeof scratchDirectory>;

beforeEach(() => {
  scratch = scratchDirectory();
});
afterEach(() => scratch[Symbol.dispose]());

/** A virsh that lists a domain, cannot get it, and does this when it is asked for all. */
function driverWith(later: string) {
  const script = [
    '#!/bin/sh',
    'case "$*" in',
    `  *" list --all"*) ${later};;`,
    `  *" list "*) echo ${uuid};;`,
    `  *) echo "error: failed to get domain '${uuid}'" >&2; exit 1;;`,
    'esac',
    '',
  ];
  writeFileSync(join(scratch.path, 'virsh'), script.join('\n'), { mode: 0o755 });
  return createLibvirtDriver({
    ...process.env,
    PATH: `${scratch.path}:${process.env['PATH'] ?? ''}`,
    LIBVIRT_DEFAULT_URI: 'qemu:///system',
  });
}

test.each([
  ['stops to answer', 'echo "error: failed to connect to the hypervisor" >&2; exit 1', 'failed to connect'],
  ['still has it', `echo ${uuid}`, 'failed to get domain'],
])('a domain of a libvirt that %s does not count as one that does not run', async (_what, later, said) => {
  const driver = driverWith(later);
  for (const asked of [() => driver.list(context), () => driver.listKept(context)])
    expect(await failureOf(asked)).toMatchObject({
      code: 'hypervisor-missing',
      message: expect.stringContaining(said),
    });
});

test('a domain that has gone meanwhile is left out', async () => {
  const driver = driverWith('true');
  expect(await driver.list(context)).toEqual([]);
  expect(await driver.listKept(context)).toEqual([]);
});
