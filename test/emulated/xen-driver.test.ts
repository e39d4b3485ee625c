import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { succeed } from '../rigs/base/command.ts';
import { startXen, xenMissing, type Dom0 } from '../rigs/xen/start-xen.ts';
import type { Result } from '../contract/in-dom0/jest-globals.ts';
import { writeSuiteTree } from '../contract/in-dom0/suite-tree.ts';
import { buildGuestImage } from '../support/guests/uml-guest.ts';
import { xenFixtureDirectory, xenFixtures, type XlAnswer } from '../support/guests/xen-fixtures.ts';
import { describeUnless, toolsMissing } from '../support/programs/tools.ts';

const slowMs = 15 * 60_000;
/** Of QEMU's CPU time. */
const suiteCpuSeconds = 900;
const commandCpuSeconds = 300;

describeUnless(xenMissing() ?? toolsMissing('sfdisk'), 'the driver of Xen, in dom0', () => {
  let directory: string;
  let dom0: Dom0;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'vmferry-xen-driver-'));
    const image = (name: string) => ({
      path: join(directory, name),
      sizeBytes: 16 * 2 ** 20,
      dataBytes: 65_536,
    });
    await buildGuestImage(image('obedient.img'));
    await buildGuestImage({ ...image('stubborn.img'), onCtrlAltDel: 'ignore', showsPrompt: false });
    // The kernel of a guest of Xen runs this program on Xen's request.
    await succeed('debugfs', ['-w', '-R', 'rm /sbin/poweroff', join(directory, 'stubborn.img')]);
    // Its kernel comes from its own disk.
    await buildGuestImage({ path: join(directory, 'menu.img'), sizeBytes: 128 * 2 ** 20, dataBytes: 65_536 });
    dom0 = await startXen();
    for (const name of ['obedient.img', 'stubborn.img', 'menu.img'])
      await dom0.put(join(directory, name), `/srv/guests/${name}`);
  }, slowMs);

  afterAll(async () => {
    await dom0?.[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  });

  /** Copies a directory into dom0. */
  const putTree = async (source: string, target: string) => {
    const archive = join(directory, 'tree.tar');
    await succeed('tar', ['-C', source, '-cf', archive, '.']);
    await dom0.put(archive, '/srv/tree.tar');
    await dom0.run('mkdir', ['-p', target]);
    await dom0.run('tar', ['-C', target, '--warning=no-timestamp', '-xf', '/srv/tree.tar'], {
      cpuSeconds: commandCpuSeconds,
    });
  };

  test(
    'xl takes, refuses and answers as the expectations of the unit tests say',
    async () => {
      await putTree(xenFixtureDirectory, '/srv/fixtures');
      const script =
        'cd /srv/fixtures && for file in */*.cfg; do echo "=== $file"; xl create -q -n "$file" 2>/dev/null; echo "=== $?"; done';
      const output = await dom0.run('sh', ['-c', script], { cpuSeconds: commandCpuSeconds });
      const { accepted, refused, lossy } = xenFixtures();
      const answers = parseAnswers(output);
      expect(answers.size).toBe([accepted, refused, lossy].flatMap((files) => Object.keys(files)).length);
      for (const [name, answer] of Object.entries(accepted))
        expect([name, answers.get(`accepted/${name}.cfg`)?.answer]).toEqual([name, answer]);
      for (const name of Object.keys(refused)) expect(answers.get(`refused/${name}.cfg`)?.status).not.toBe(0);
      for (const name of Object.keys(lossy)) expect(answers.get(`lossy/${name}.cfg`)?.status).toBe(0);
    },
    slowMs,
  );

  describe('the suite that all guest drivers must pass', () => {
    let results: Result[];

    beforeAll(async () => {
      const suite = await writeSuiteTree(join(directory, 'suite'));
      await putTree(join(directory, 'suite'), '/srv/suite');
      const { kernel, initrd } = dom0.guestKernel;
      const run = await dom0.attempt('node', [`/srv/suite/${suite}`, '/srv/guests', kernel, initrd], {
        cpuSeconds: suiteCpuSeconds,
      });
      if (run.exitStatus !== 0) throw new Error(`node: ${run.stderr}\n${run.stdout}`);
      results = run.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Result);
    }, slowMs);

    test('each promise is kept', () => {
      expect(results.filter(({ error }) => error !== null)).toEqual([]);
      expect(results.length).toBeGreaterThan(12);
    });
  });

  test(
    'a guest that xl started by pygrub is listed, halted and started again by the command line',
    async () => {
      const { kernel, initrd } = dom0.guestKernel;
      const limits = { cpuSeconds: commandCpuSeconds };
      const menu = `menuentry 'Debian' {\n  linux ${kernel} root=/dev/xvda rw console=hvc0\n  initrd ${initrd}\n}`;
      const script =
        'mount -o loop /srv/guests/menu.img /mnt && mkdir -p /mnt/boot/grub && cp "$1" "$2" /mnt/boot && ' +
        'echo "$3" >/mnt/boot/grub/grub.cfg && umount /mnt';
      await dom0.run('sh', ['-c', script, 'sh', kernel, initrd, menu], limits);
      const config = (type: string, bootLoader: string, disk: string) =>
        `name = "shop"\ntype = "${type}"\nmemory = 128\nbootloader = "${bootLoader}"\ndisk = [ 'file:/srv/guests/${disk},xvda,w' ]`;
      await dom0.write('/etc/xen/shop.cfg', config('pv', 'pygrub', 'menu.img'));
      const isThere = async () => /^shop /m.test(await dom0.run('xl', ['list']));
      await dom0.run('xl', ['create', '-q', '/etc/xen/shop.cfg'], limits);
      await dom0.waitForGuest('shop', 'GUEST-UP boots=1');
      expect(await dom0.run('vmferry', ['guests'], limits)).toMatch(/shop +xen +running/);
      // Other accounts are not told that it is halted.
      const asNobody = [
        '--reuid',
        '65534',
        '--clear-groups',
        'env',
        'HOME=/tmp',
        'vmferry',
        'guests',
        '--json',
      ];
      expect(await dom0.run('setpriv', asNobody, limits)).toContain('"guests":[]');
      await dom0.run('vmferry', ['halt', 'shop'], limits);
      expect(await isThere()).toBe(false);
      // The same system on a partition, with the menu of GRUB 1, as a guest of the type PVH, and as if it had come from a machine with
      // another Xen.
      await dom0.put(await partitionTable(join(directory, 'table'), 128), '/srv/guests/table');
      const oldMenu = `title Debian\nroot (hd0,0)\nkernel ${kernel} root=/dev/xvda1 rw console=hvc0\ninitrd ${initrd}`;
      const toPartition =
        'mount -o loop /srv/guests/menu.img /mnt && rm /mnt/boot/grub/grub.cfg && echo "$1" >/mnt/boot/grub/menu.lst && ' +
        'umount /mnt && cd /srv/guests && cat table menu.img >parts.img && rm table menu.img';
      await dom0.run('sh', ['-c', toPartition, 'sh', oldMenu], limits);
      await dom0.write('/etc/xen/shop.cfg', config('pvh', '/usr/lib/xen-4.11/bin/pygrub', 'parts.img'));
      await dom0.run('vmferry', ['start', 'shop'], limits);
      expect(await dom0.waitForGuest('shop', 'GUEST-UP boots=2')).toContain('kernel on Xen PVH');
      await dom0.run('vmferry', ['halt', 'shop'], limits);
      expect(await isThere()).toBe(false);
      expect(await dom0.run('losetup', ['--list', '--noheadings'])).toBe('');
    },
    slowMs,
  );
});

/** Writes the first MiB of a disk whose only other content is one partition. */
async function partitionTable(path: string, partitionMebibytes: number): Promise<string> {
  await writeFile(path, '');
  await truncate(path, (1 + partitionMebibytes) * 2 ** 20);
  await succeed('sh', ['-c', 'echo start=2048 | sfdisk -q "$1"', 'sh', path]);
  await truncate(path, 2 ** 20);
  return path;
}

/** The output for each file, less what no test looks at. */
function parseAnswers(output: string): Map<string, { status: number; answer: XlAnswer | null }> {
  const found = output.matchAll(/=== (\S+)\n([^]*?)=== (\d+)\n/g);
  return new Map(
    [...found].map(([, file = '', text = '', status]) => [
      file,
      { status: Number(status), answer: status === '0' ? inShort(JSON.parse(text) as XlOutput) : null },
    ]),
  );
}

/** A part of what `xl create -n` prints. */
interface XlOutput {
  c_info: { name: string; type: XlAnswer['type'] };
  b_info: {
    target_memkb?: number;
    max_vcpus?: number;
    avail_vcpus?: unknown[];
    kernel?: string;
    ramdisk?: string;
    cmdline?: string;
    bootloader?: string;
  };
  disks?: XlAnswer['disks'];
  nics?: XlAnswer['nics'];
}

function inShort({ c_info: { name, type }, b_info, disks = [], nics = [] }: XlOutput): XlAnswer {
  const { kernel, ramdisk, cmdline, bootloader } = b_info;
  const whole = {
    name,
    type,
    memory: Math.floor((b_info.target_memkb ?? 0) / 1024),
    vcpus: b_info.max_vcpus ? (b_info.avail_vcpus?.length ?? null) : null,
    kernel,
    ramdisk,
    cmdline,
    bootloader,
    disks: disks.map(({ pdev_path, vdev, format, readwrite, is_cdrom }) => ({
      pdev_path,
      vdev,
      format,
      readwrite,
      is_cdrom,
    })),
    nics: nics.map(({ mac, bridge, script, model }) => ({ mac, bridge, script, model })),
  };
  // Leaves out what is undefined.
  return JSON.parse(JSON.stringify(whole)) as XlAnswer;
}
