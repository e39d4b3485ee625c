import { spawn } from 'node:child_process';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import process from 'node:process';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Event } from '../../../src/events.ts';
import { createXenDriver } from '../../../src/guest/drivers/xen/driver.ts';
import { xenHost } from '../../../src/guest/drivers/xen/host/host.ts';
import { probeName } from '../../../src/guest/drivers/xen/host/probe-name.ts';
import type { GuestDefinition } from '../../../src/guest/definition.ts';
import { Failure } from '../../../src/failure.ts';
import { poll } from '../../../src/pipeline/polling.ts';
import { readProcess } from '../../../src/system/proc-process.ts';
import { run } from '../../../src/system/processes.ts';

const MEBIBYTE = 2 ** 20;
const neverAborted = { signal: new AbortController().signal, report: () => undefined };

/** The small guest that Xen is tried with, for real. */
export function describeProbe(kernel: string): void {
  const guest: GuestDefinition = {
    name: 'shop',
    driver: 'xen',
    memoryBytes: 256 * MEBIBYTE,
    cpuCount: 1,
    kernel,
    initrd: null,
    commandLine: [],
    disks: [],
  };
  const told: Event[] = [];
  const probe = (
    changes: Partial<GuestDefinition>,
    signal = neverAborted.signal,
    host = xenHost(process.env),
  ) =>
    createXenDriver(process.env, host).probe(
      { ...guest, ...changes },
      { signal, report: (event) => void told.push(event) },
    );
  /** A domain that only takes its memory, and what it is given. It never runs. */
  const addDomain = async (name: string, mebibytes: number, more = '') => {
    await writeFile('/root/added.cfg', `name="${name}"\nkernel="${kernel}"\nmemory=${mebibytes}\n${more}`);
    expect(await run('xl', ['create', '-qp', '/root/added.cfg'])).toMatchObject({ exitStatus: 0 });
  };
  const domains = async () =>
    (await run('xl', ['list'])).stdout.split('\n').filter((line) => line.startsWith('vmferry-probe-'));
  const files = async () =>
    (await run('sh', ['-c', 'ls /var/log/xen/console /run/vmferry/xen/probes | grep vmferry-probe'])).stdout;
  const eventually = (ask: () => Promise<boolean>) =>
    poll(ask, { ...neverAborted, timeoutMs: 120_000, intervalMs: 1000 });
  const freeMebibytes = async () =>
    Number(/^free_memory\s*: (\d+)$/m.exec((await run('xl', ['info'])).stdout)?.[1]);

  describe('a small guest', () => {
    beforeEach(() => {
      told.length = 0;
    });
    afterEach(async () => {
      expect([await domains(), await files()]).toEqual([[], '']);
    });

    // Each move to Xen tries one of the type PV.
    test('of the type PVH runs, is gone, and is not tried again', async () => {
      expect(await probe({ virtualization: 'pvh' })).toBeNull();
      // Whatever is tried now is aborted.
      expect(await probe({ virtualization: 'pvh' }, AbortSignal.abort())).toBeNull();
    });

    test('whose kernel is none, or does not fit into its memory, is refused by xl, and this is told', async () => {
      const other = await probe({ kernel: '/etc/passwd' });
      expect(other).toMatchObject({ code: 'hypervisor-missing' });
      expect(other?.message).toMatch(
        /^Xen cannot boot the kernel \/etc\/passwd in a guest.*: .*no loader found/,
      );
      expect((await probe({ memoryBytes: 32 * MEBIBYTE }))?.message).toContain('Out of memory');
    });

    test('whose kernel crashes at once is told of', async () => {
      await writeFile('/root/damaged', withoutCode(await readFile(kernel)));
      const problem = await probe({ kernel: '/root/damaged' });
      expect(problem?.message).toMatch(
        /^Xen cannot boot the kernel \/root\/damaged in a guest.*: it crashed\./,
      );
    });

    test('whose kernel only misses a disk did run: the kernel may know no initial RAM disk', async () => {
      const image = await readFile(kernel);
      for (let at = 0; (at = image.indexOf('/init\0', at)) >= 0; at++) image.write('/none', at);
      await writeFile('/root/aimless', image);
      expect(await probe({ kernel: '/root/aimless' })).toBeNull();
    });

    test('whose kernel needs more memory than the first attempt has is tried again with that of the guest', async () => {
      await writeFile('/root/big', withMoreMemory(await readFile(kernel), 150 * MEBIBYTE));
      expect((await probe({ kernel: '/root/big', memoryBytes: 128 * MEBIBYTE }))?.message).toContain(
        'memory',
      );
      expect(await probe({ kernel: '/root/big' })).toBeNull();
      expect(told).toEqual([]);
    });

    test('whose kernel is on its disk moves with a warning, if the kernel of this machine does not boot', async () => {
      await mkdir('/root/boot');
      await copyFile('/etc/passwd', '/root/boot/vmlinuz');
      const host = { ...xenHost(process.env), kernelDirectory: '/root/boot' };
      const loaded: Partial<GuestDefinition> = {
        boot: 'boot-loader',
        kernel: null,
        memoryBytes: 64 * MEBIBYTE,
      };
      expect(await probe(loaded, neverAborted.signal, host)).toBeNull();
      expect(told).toMatchObject([{ type: 'warning', message: expect.stringContaining('shop') as unknown }]);
    });

    test('that cannot be tried moves with a warning', async () => {
      const full =
        'mkdir -p /root/full && mount -t tmpfs -o size=16k tmpfs /root/full && dd if=/dev/zero of=/root/full/zeroes';
      await run('sh', ['-c', full]);
      const host = { ...xenHost(process.env), runDirectory: '/root/full' };
      // Nothing of this kernel boots.
      expect(await probe({ kernel: '/etc/passwd' }, neverAborted.signal, host)).toBeNull();
      expect(told).toMatchObject([
        { type: 'warning', message: expect.stringContaining('ENOSPC') as unknown },
      ]);
      await run('umount', ['/root/full']);
      const own = readProcess(process.pid);
      if (own === null) throw new Error('this process is not in /proc');
      await addDomain(probeName(own), 96);
      expect(await probe({ kernel: '/etc/passwd' })).toBeNull();
      expect(told[1]).toMatchObject({ type: 'warning', message: expect.stringContaining('is still there') });
      await run('xl', ['destroy', probeName(own)]);
      await run('rm', ['-f', `/var/log/xen/console/guest-${probeName(own)}.log`]);
    });

    test('is not tried when Xen has too little memory for it', async () => {
      await addDomain('another', (await freeMebibytes()) - 200);
      expect(await probe({ kernel: '/etc/passwd' })).toBeNull();
      // With less memory than it has, a guest proves nothing.
      expect(told).toMatchObject([
        { type: 'warning', message: expect.stringMatching(/tried with 128 MiB.*no loader/) as unknown },
      ]);
      await addDomain('other', (await freeMebibytes()) - 100);
      expect(await freeMebibytes()).toBeLessThan(128);
      expect(await probe({ kernel: '/etc/passwd' })).toBeNull();
      expect(told).toHaveLength(1);
      expect((await probe({ kernel: '/etc/passwd', memoryBytes: 32 * MEBIBYTE }))?.message).toContain(
        'no loader',
      );
      await run('xl', ['destroy', 'other']);
      await run('xl', ['destroy', 'another']);
    });

    test('is no guest, and is gone when it is aborted', async () => {
      const aborter = new AbortController();
      const ended = probe({}, aborter.signal).then(
        () => null,
        (error: unknown) => error,
      );
      await eventually(async () => (await domains()).length > 0);
      expect(await createXenDriver(process.env).list(neverAborted)).toEqual([]);
      aborter.abort(new Failure('interrupted', 'Ctrl-C'));
      expect(await ended).toMatchObject({ code: 'interrupted' });
    });

    test('ends by itself when the process that tries it is killed', async () => {
      const driver = new URL('../../../src/guest/drivers/xen/driver.js', import.meta.url).href;
      const script = `const { createXenDriver } = await import('${driver}');
        const context = { signal: new AbortController().signal, report: () => undefined };
        await createXenDriver(process.env).probe(${JSON.stringify(guest)}, context);`;
      const prober = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' });
      await eventually(async () => (await domains()).length > 0);
      prober.kill('SIGKILL');
      await eventually(async () => (await domains()).length === 0);
      expect((await files()).trim().split('\n')).toHaveLength(2);
      // The next one removes the files.
      expect((await probe({ kernel: '/etc/passwd' }))?.message).toContain('no loader');
    });

    test('that was left behind is removed by the next one; a guest with disks of such a name is listed, and stays', async () => {
      await addDomain('vmferry-probe-1-1', 96);
      await writeFile('/root/disk', Buffer.alloc(MEBIBYTE));
      await addDomain('vmferry-probe-1-2', 96, 'disk=["file:/root/disk,xvda,w"]\n');
      expect(await domains()).toHaveLength(2);
      expect((await probe({ kernel: '/etc/passwd' }))?.message).toContain('no loader');
      const [left, ...others] = await domains();
      expect([left, others]).toEqual([expect.stringMatching(/^vmferry-probe-1-2 /), []]);
      const listed = await createXenDriver(process.env).list(neverAborted);
      expect(listed.map(({ definition }) => definition.name)).toEqual(['vmferry-probe-1-2']);
      await run('xl', ['destroy', 'vmferry-probe-1-2']);
      await eventually(async () => (await domains()).length === 0);
      await run('rm', ['-f', '/var/log/xen/console/guest-vmferry-probe-1-2.log']);
    });
  });
}

const PT_LOAD = 1;
const PT_NOTE = 4;
const PF_X = 1;

/** The kernel with its notes for Xen, and an undefined instruction in place of each other. Format: elf(5). */
function withoutCode(kernel: Buffer): Buffer {
  const segments = Array.from({ length: kernel.readUInt16LE(56) }, (_, index) => {
    const at = Number(kernel.readBigUInt64LE(32)) + index * kernel.readUInt16LE(54);
    const start = Number(kernel.readBigUInt64LE(at + 8));
    const end = start + Number(kernel.readBigUInt64LE(at + 32));
    return { type: kernel.readUInt32LE(at), flags: kernel.readUInt32LE(at + 4), start, end };
  });
  const notes = segments
    .filter(({ type }) => type === PT_NOTE)
    .map(({ start, end }) => ({ start, bytes: Buffer.from(kernel.subarray(start, end)) }));
  for (const { flags, start, end } of segments)
    if ((flags & PF_X) !== 0) kernel.fill(Buffer.from('0f0b', 'hex'), start, end);
  for (const { start, bytes } of notes) bytes.copy(kernel, start);
  return kernel;
}

/** The kernel, which now asks for this much more memory behind its last segment. */
function withMoreMemory(kernel: Buffer, bytes: number): Buffer {
  const headers = Array.from(
    { length: kernel.readUInt16LE(56) },
    (_, index) => Number(kernel.readBigUInt64LE(32)) + index * kernel.readUInt16LE(54),
  );
  const last = headers.filter((at) => kernel.readUInt32LE(at) === PT_LOAD).at(-1) ?? 0;
  kernel.writeBigUInt64LE(kernel.readBigUInt64LE(last + 40) + BigInt(bytes), last + 40);
  return kernel;
}
