import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { GuestDefinition } from '../../../src/guest/definition.ts';
import { readQemuArguments } from '../../../src/guest/drivers/qemu/arguments/read.ts';
import { createQemuDriver } from '../../../src/guest/drivers/qemu/driver.ts';
import { createRecordStore } from '../../../src/guest/record-store.ts';
import { checkTarget } from '../../../src/operations/receive/check.ts';
import { scratchDirectory } from '../../support/images/images.ts';
import { describeWithTools } from '../../support/programs/tools.ts';

const context = { signal: new AbortController().signal, report: () => undefined };

describeWithTools('the check of a guest whose kernel is on its own disk', ['qemu-system-x86_64'], () => {
  let scratch: ReturnType<typeof scratchDirectory>;
  beforeEach(() => {
    scratch = scratchDirectory();
    mkdirSync(join(scratch.path, 'images'));
  });
  afterEach(() => {
    scratch[Symbol.dispose]();
  });

  const made = () => ({ kernel: join(scratch.path, 'kernel/web'), initrd: join(scratch.path, 'initrd/web') });
  const check = (guest: GuestDefinition, guestKernel?: { hasInitrd: boolean }) =>
    checkTarget(
      {
        directory: join(scratch.path, 'images'),
        disks: [{ name: 'web.img', sizeBytes: 2 ** 20, neededBytes: 0 }],
        overwrite: false,
        guest,
        ...(guestKernel && { guestKernel }),
      },
      {
        drivers: [createQemuDriver({ ...process.env, VMFERRY_MACHINE: scratch.path })],
        records: createRecordStore(join(scratch.path, 'guests')),
        spoolParent: scratch.path,
        bootFilesOf: made,
      },
      context,
    );

  /** As it ran elsewhere: with arguments of its own, which are kept. */
  function ranElsewhere(kernel: string | null): GuestDefinition {
    const line =
      'qemu-system-x86_64 -name web -m 64 -kernel /boot/elsewhere -append root=/dev/vda ' +
      '-drive file=/srv/web.img,format=raw,if=virtio -device virtio-rng-pci';
    const argv = line.split(' ');
    const { definition } = readQemuArguments({ argv, resolve: (path) => path, fallbackName: 'web' });
    return { ...definition, kernel, native: { text: JSON.stringify(argv), beyond: [] } };
  }

  test('does not miss the files that will be made of it, and names them', async () => {
    const { problems, completed } = await check(ranElsewhere(null), { hasInitrd: true });
    expect(problems).toEqual([]);
    expect(completed).toMatchObject({ ...made(), commandLine: ['root=/dev/vda'] });
    expect((await check(ranElsewhere(null), { hasInitrd: false })).completed).toMatchObject({ initrd: null });
  });

  test('misses a kernel that is not made', async () => {
    const { problems } = await check(ranElsewhere(made().kernel));
    expect(problems).toMatchObject([
      { code: 'hypervisor-missing', advice: expect.stringContaining('--kernel guest') },
    ]);
    expect(problems[0]?.message).toContain(made().kernel);
  });
});
