import { expect, test } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import type { GuestDefinition } from '../../src/guest/definition.ts';
import { createQemuDriver } from '../../src/guest/drivers/qemu/driver.ts';
import { hugePagesOfArguments } from '../../src/guest/drivers/qemu/launch/huge-pages.ts';
import { missingFiles } from '../../src/guest/drivers/qemu/launch/named-files.ts';
import { checkHugePages } from '../../src/guest/preflight/check-memory.ts';
import { run } from '../../src/system/processes.ts';
import { guestKernel, guestKernelMissing } from '../rigs/kernel/guest-kernel.ts';
import { guestAgent, powerButton } from '../support/guests/guest-programs.ts';
import { buildGuestImage } from '../support/guests/uml-guest.ts';
import { scratchDirectory } from '../support/images/images.ts';
import { describeUnless, toolsMissing } from '../support/programs/tools.ts';
import { describeGuestDriver, type GuestTemper } from '../contract/guest-driver-contract.ts';

/** Its processor is emulated, maybe beside other tests. */
const TIMEOUT_MS = 120_000;

const missing = toolsMissing('qemu-system-x86_64', 'qemu-ga', 'mke2fs', 'busybox') ?? guestKernelMissing();

describeUnless(missing, 'with real guests', () => {
  describeGuestDriver('QEMU', async () => {
    const scratch = scratchDirectory();
    const driver = createQemuDriver({
      ...process.env,
      XDG_RUNTIME_DIR: join(scratch.path, 'run'),
      VMFERRY_MACHINE: scratch.path,
    });
    const { kernel, initrd } = await guestKernel();
    return {
      driver,
      scratch: scratch.path,
      timeoutMs: TIMEOUT_MS,
      async make(name: string, temper: GuestTemper): Promise<GuestDefinition> {
        const path = join(scratch.path, `${name}.img`);
        await buildGuestImage(
          temper === 'stubborn'
            ? { path, dataBytes: 65_536, onCtrlAltDel: 'ignore' }
            : {
                path,
                dataBytes: 65_536,
                onCtrlAltDel: 'quick-poweroff',
                programs: [powerButton, guestAgent],
              },
        );
        return {
          name,
          driver: 'qemu',
          memoryBytes: 192 * 2 ** 20,
          cpuCount: 1,
          kernel: temper === 'unbootable' ? '/nowhere/vmlinuz' : kernel,
          initrd,
          disks: [{ device: 'vda', path, readOnly: false, bus: 'virtio' }],
          commandLine: [temper === 'broken' ? 'root=/dev/vdb' : 'root=/dev/vda', 'rw', 'console=ttyS0'],
          console: 'ttyS0',
        };
      },
      async [Symbol.asyncDispose]() {
        const context = { signal: new AbortController().signal, report: () => undefined };
        for (const guest of await driver.list(context))
          await driver.halt(guest, { timeoutMs: 1, force: true }, context);
        scratch[Symbol.dispose]();
      },
    };
  });
});

describeUnless(toolsMissing('qemu-system-x86_64'), 'QEMU', () => {
  test.each([
    ['-bios', '/nowhere/bios'],
    ['-mem-path', '/nowhere/memory'],
    ['-object', 'input-linux,id=k,evdev=/nowhere/keyboard'],
    ['-netdev', 'vhost-vdpa,id=n,vhostdev=/nowhere/vdpa'],
    ['-display', 'egl-headless,rendernode=/nowhere/node'],
    ['-vnc', 'unix:/nowhere/screen'],
    ['-virtfs', 'local,path=/nowhere/share,mount_tag=share,security_model=none'],
    ['-fw_cfg', 'name=opt/org.example/key,file=/nowhere/key'],
    ['-smbios', 'file=/nowhere/smbios'],
    ['-acpitable', 'file=/nowhere/table'],
    ['-object', 'secret,id=s,file=/nowhere/secret'],
    ['-object', 'rng-random,id=r,filename=/nowhere/random'],
    ['-object', 'memory-backend-file,id=m,size=16M,mem-path=/nowhere/memory'],
    ['-device', 'e1000,romfile=/nowhere/rom'],
    ['-device', 'vfio-pci,host=fe:1f.7'],
    ['-chardev', 'socket,id=c,path=/nowhere/socket'],
    ['-chardev', 'pipe,id=c,path=/nowhere/pipe'],
    ['-chardev', 'file,id=c,path=/nowhere/log'],
    ['-qmp', 'unix:/nowhere/qmp,server=on,wait=off'],
    ['-serial', 'file:/nowhere/log'],
    ['-pidfile', '/nowhere/pid'],
    ['-D', '/nowhere/log'],
  ])('ends when it starts for what vmferry misses before: %s %s', async (option, value) => {
    expect(missingFiles([option, value])).toHaveLength(1);
    const machine = ['-display', 'none', '-nodefaults', '-no-user-config', '-S', '-m', '16'];
    const limits = { timeoutMs: TIMEOUT_MS };
    expect(await run('qemu-system-x86_64', [...machine, option, value], limits)).toMatchObject({
      exitStatus: 1,
    });
  });

  test('ends when it starts with a socket of the kernel that this machine does not have, and only then', async () => {
    const device = ['-device', 'vhost-vsock-pci,guest-cid=4567'];
    const isMissing = missingFiles(device).length > 0;
    expect(isMissing).toBe(!existsSync('/dev/vhost-vsock'));
    if (!isMissing) return;
    const args = ['-display', 'none', '-nodefaults', '-S', '-m', '16', ...device];
    expect(await run('qemu-system-x86_64', args, { timeoutMs: TIMEOUT_MS })).toMatchObject({ exitStatus: 1 });
  });

  const hasNoMounts = process.getuid?.() === 0 ? null : 'only root can mount hugetlbfs';
  describeUnless(hasNoMounts, 'with huge pages', () => {
    test('ends when it starts for want of those that vmferry misses before', async () => {
      using scratch = scratchDirectory();
      const mounted = await run('mount', ['-t', 'hugetlbfs', '-o', 'pagesize=2M', 'none', scratch.path]);
      expect(mounted).toMatchObject({ exitStatus: 0 });
      try {
        const free = readFileSync('/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages', 'latin1');
        const mebibytes = 2 * (Number(free) + 16);
        const machine = ['-display', 'none', '-nodefaults', '-no-user-config', '-S', '-m', String(mebibytes)];
        const ram = `memory-backend-file,id=ram,size=${mebibytes}M,mem-path=${join(scratch.path, 'ram')}`;
        for (const memory of [
          ['-mem-path', scratch.path],
          ['-machine', 'pc,memory-backend=ram', '-object', ram],
        ]) {
          const hugePages = hugePagesOfArguments([...machine, ...memory]);
          expect(hugePages).toEqual({ pageBytes: 2 * 2 ** 20 });
          const guest = { name: 'web', memoryBytes: mebibytes * 2 ** 20 };
          expect(checkHugePages(guest, hugePages ?? { pageBytes: null })).toHaveLength(1);
          const args = [...machine, ...memory];
          const ended = await run('qemu-system-x86_64', args, { timeoutMs: TIMEOUT_MS });
          expect(ended).toMatchObject({
            exitStatus: 1,
            stderr: expect.stringContaining('Cannot allocate memory'),
          });
        }
      } finally {
        await run('umount', [scratch.path]);
      }
    });
  });
});
