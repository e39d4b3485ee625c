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

/** A virsh that lists a domain, and then says this of it. */
function driverWith(complaint: string) {
  const script = `#!/bin/sh\ncase "$*" in *" list "*) echo ${uuid};; *) echo "error: ${complaint}" >&2; exit 1;; esac\n`;
  writeFileSync(join(scratch.path, 'virsh'), script, { mode: 0o755 });
  return createLibvirtDriver({
    ...process.env,
    PATH: `${scratch.path}:${process.env['PATH'] ?? ''}`,
    LIBVIRT_DEFAULT_URI: 'qemu:///system',
  });
}

test.each(['failed to connect to the hypervisor', 'End of file while reading data: Input/output error'])(
  'a domain of a libvirt that stops to answer does not count as one that does not run: %s',
  async (complaint) => {
    const driver = driverWith(complaint);
    for (const asked of [() => driver.list(context), () => driver.listKept(context)])
      expect(await failureOf(asked)).toMatchObject({
        code: 'hypervisor-missing',
        message: expect.stringContaining(complaint),
      });
  },
);

test('a domain that has gone meanwhile is left out', async () => {
  const driver = driverWith('Domain not found: no domain with matching uuid');
  expect(await driver.list(context)).toEqual([]);
  expect(await driver.listKept(context)).toEqual([]);
});
