import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { bootReportOf } from '../rigs/debian-guest/boot-report.ts';
import {
  copyDebianGuest,
  DEBIAN_GUEST_BYTES,
  debianGuestMissing,
} from '../rigs/debian-guest/debian-guest.ts';
import { guestKernel } from '../rigs/kernel/guest-kernel.ts';
import { libvirtMissing, startLibvirt } from '../rigs/libvirt/libvirt-lab.ts';
import { EXTRA_DISK_BYTES } from '../rigs/xen/machine.ts';
import { startNeighbour } from '../rigs/xen/neighbour.ts';
import { makeBlankDisk } from '../rigs/xen/program-disk.ts';
import { startXen, xenMissing, type Dom0 } from '../rigs/xen/start-xen.ts';
import { eventually } from '../support/guests/ferried-guest.ts';
import {
  bootUmlGuest,
  buildGuestImage,
  damagedGuestFiles,
  guestBootCount,
  isFileSystemClean,
  type GuestImage,
} from '../support/guests/uml-guest.ts';
import { umlMissing } from '../support/guests/uml-kernel.ts';
import { umlProcessesOf } from '../support/guests/uml-processes.ts';
import { runTool } from '../support/images/images.ts';
import { resultOf } from '../support/programs/command-records.ts';
import { vmferry } from '../support/programs/command-line.ts';
import { killTree } from '../support/programs/process-tree.ts';
import { describeUnless, toolsMissing } from '../support/programs/tools.ts';
import { networkLabMissing } from '../support/ssh/network-lab.ts';

const slowMs = 10 * 60_000;

/** A guest that runs under User Mode Linux on this machine, for the first time. */
interface GuestHere extends GuestImage, AsyncDisposable {
  name: string;
  address: string;
  mac: string;
}

const missing =
  umlMissing() ??
  xenMissing() ??
  debianGuestMissing() ??
  libvirtMissing() ??
  networkLabMissing() ??
  toolsMissing('sfdisk', 'e2fsck');

describeUnless(missing, 'Xen', () => {
  let directory: string;
  let environment: NodeJS.ProcessEnv;
  let dom0: Dom0;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'vmferry-to-xen-'));
    const [umlDir, home] = [join(directory, 'uml'), join(directory, 'home')];
    for (const path of [umlDir, home]) await mkdir(path);
    environment = { UML_DIR: umlDir, VMFERRY_STATE_DIR: join(directory, 'state'), HOME: home };
    const extraDisk = join(directory, 'extra.img');
    await makeBlankDisk(extraDisk, EXTRA_DISK_BYTES);
    // For the small guest, and for the one of Debian.
    runTool(
      'sfdisk',
      ['-q', extraDisk],
      `start=2048, size=64M\nstart=133120, size=${DEBIAN_GUEST_BYTES / 512}\n`,
    );
    dom0 = await startXen({ extraDisk });
    await dom0.run('partx', ['-a', '/dev/vdc']);
  }, slowMs);

  afterAll(async () => {
    await dom0?.[Symbol.asyncDispose]();
    // After a failed test, a guest may still run.
    for (const pid of umlProcessesOf(null, environment['UML_DIR'] ?? '')) await killTree(pid);
    await rm(directory, { recursive: true, force: true });
  });

  async function bootHere(name: string, number: number): Promise<GuestHere> {
    const path = join(directory, `${name}.img`);
    const [address, mac] = [`10.0.2.${number}`, `00:16:3e:00:00:${number}`];
    const network = { hostName: name, address: `${address}/24` };
    const image = await buildGuestImage({ path, network, onCtrlAltDel: 'quick-poweroff' });
    const { stop } = await bootUmlGuest({
      image: path,
      name,
      umlDir: environment['UML_DIR'] ?? '',
      extraArgs: [`eth0=daemon,${mac}`],
    });
    return { ...image, name, address, mac, [Symbol.asyncDispose]: stop };
  }

  async function here(...args: string[]): Promise<object> {
    const { exitStatus, stdout, stderr } = await vmferry([...args, '--json'], environment);
    if (exitStatus !== 0) throw new Error(`${stdout}${stderr}${await dom0.guestConsole(args[1] ?? '')}`);
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as object;
  }

  function moveToXen(name: string, to: string, ...options: string[]): Promise<object> {
    const there = ['--to', to, '-F', dom0.sshConfigFile, '--as', 'xen', '--network', 'eth0=xenbr0'];
    return here('migrate', name, ...there, ...options);
  }

  /** It runs there and nowhere else, and its image here is as the guest left it. */
  async function expectMoved({ name, address, mac, path, files }: GuestHere): Promise<void> {
    await dom0.waitForGuest(name, 'GUEST-UP boots=2');
    expect(await dom0.answerOf(address)).toBe(`${name} boots=2 ${mac}`);
    expect(umlProcessesOf(name, environment['UML_DIR'] ?? '')).toEqual([]);
    expect(await guestBootCount(path)).toBe(1);
    expect(await isFileSystemClean(path)).toBe(true);
    expect(await damagedGuestFiles(path, files)).toEqual([]);
  }

  test(
    'is in the rig, with Node and the program that is tested',
    async () => {
      expect(await dom0.run('xl', ['list'])).toMatch(/^Domain-0 +0 +512 /m);
      expect(await dom0.run('node', ['--version'])).toBe(`${process.version}\n`);
      // A first start takes twice as long as later ones, and a move waits only 2 minutes for it.
      expect(await dom0.run('vmferry', ['--version'])).toMatch(/^\d+\.\d+\.\d+$/m);
      expect(dom0.console()).not.toMatch(/panic/i);
    },
    slowMs,
  );

  test(
    'runs a guest of User Mode Linux from a partition as it ran before, and xendomains starts it with the machine',
    async () => {
      await using web = await bootHere('web', 77);
      const report = await moveToXen('web', 'dom0', '--disk', 'root=/dev/vdc1');
      expect(report).toMatchObject({ type: 'moved', guest: 'web' });
      await expectMoved(web);

      await dom0.run('vmferry', ['autostart', 'web']);
      // What the machine does when it goes down, and when it comes up.
      await dom0.run('/etc/init.d/xendomains', ['stop']);
      expect(await dom0.run('xl', ['list'])).not.toMatch(/^web /m);
      await dom0.run('/etc/init.d/xendomains', ['start']);
      await dom0.waitForGuest('web', 'GUEST-UP boots=3');
      expect(await dom0.answerOf(web.address)).toBe(`web boots=3 ${web.mac}`);
      await dom0.run('vmferry', ['halt', 'web']);
      await dom0.waitUntilGone('web');
      const partition = join(directory, 'partition.img');
      const place = ['bs=1M', 'skip=1', 'count=64', 'conv=sparse'];
      runTool('dd', [`if=${dom0.extraDisk}`, `of=${partition}`, ...place]);
      expect(await guestBootCount(partition)).toBe(3);
      expect(await damagedGuestFiles(partition, web.files)).toEqual([]);
      expect(await isFileSystemClean(partition)).toBe(true);
    },
    slowMs,
  );

  test(
    'runs a guest of User Mode Linux from a file, and the move is taken back',
    async () => {
      await using shop = await bootHere('shop', 78);
      const report = await moveToXen('shop', 'dom0:/srv/guests');
      expect(report).toMatchObject({ type: 'moved', guest: 'shop' });
      await expectMoved(shop);
      expect(await dom0.run('losetup', ['--list'])).toContain('/srv/guests/shop.img');

      expect(await here('revert', 'shop')).toMatchObject({ type: 'reverted', wasRunningThere: true });
      expect(umlProcessesOf('shop', environment['UML_DIR'] ?? '')).not.toEqual([]);
      await dom0.waitUntilGone('shop');
      await here('halt', 'shop');
      expect(await guestBootCount(shop.path)).toBe(2);
    },
    slowMs,
  );

  test(
    'runs a Debian guest with sysvinit from a partition, and from there it moves on to libvirt',
    async () => {
      await using lab = await startLibvirt();
      await using home = await startNeighbour(dom0, { LIBVIRT_DEFAULT_URI: lab.uri });
      const path = join(directory, 'story.img');
      await copyDebianGuest('sysvinit', path);
      const { stop } = await bootUmlGuest({
        image: path,
        name: 'story',
        umlDir: environment['UML_DIR'] ?? '',
        memoryBytes: 192 * 2 ** 20,
        extraArgs: ['eth0=daemon,00:16:3e:00:00:79'],
        upText: /REPORT end/,
        timeoutMs: slowMs,
      });
      await using _ = { [Symbol.asyncDispose]: stop };
      const slow = ['--boot-timeout', '600', '--halt-timeout', '300'];
      await moveToXen('story', 'dom0', '--disk', 'root=/dev/vdc2', ...slow);
      const inXen = bootReportOf(await dom0.waitForGuest('story', 'REPORT end', 400));
      expect(inXen).toMatchObject({ cards: 'eth0 lo', root: 'rw', former: '/dev/xvda' });
      expect(inXen.getty).toContain('hvc0');
      expect(inXen.address).toContain('10.0.2.');

      const { kernel, initrd } = await guestKernel();
      const image = join(home.images, 'story.img');
      const as = ['--as', 'libvirt', '--kernel', kernel, '--initrd', initrd];
      const places = ['--disk', `root=${image}`, '--network', 'eth0=user'];
      const argv = ['migrate', 'story', ...home.targetArguments, ...as, ...places, ...slow, '--json'];
      const moved = resultOf(await dom0.attempt('vmferry', argv, { cpuSeconds: 900 }));
      expect(moved).toMatchObject({ type: 'moved', guest: 'story', as: 'libvirt' });
      expect((await lab.virsh('list', '--name')).stdout.trim()).toBe('story');
      await eventually('story is up', slowMs, () => /REPORT end/.test(home.consoleOf('story')));
      const inLibvirt = bootReportOf(home.consoleOf('story'));
      expect(inLibvirt).toMatchObject({ cards: 'eth0 lo', root: 'rw', former: '/dev/vda' });
      expect(inLibvirt.getty).toContain('ttyS0');
      expect(inLibvirt.address).toContain('10.0.2.15');
      expect(await home.vmferry(['halt', 'story', '--halt-timeout', '300'])).toMatchObject({ exitStatus: 0 });
      runTool('e2fsck', ['-fn', image]);
    },
    2 * slowMs,
  );

  test(
    'ends a wait in the rig for a guest that halts instead',
    async () => {
      const noInit = `extra='console=hvc0 quiet init=/sbin/nothing'`;
      const { kernel, initrd } = dom0.guestKernel;
      const disk = `disk = ['phy:/dev/vdc1,xvda,w']`;
      const lines = [`name = 'gone'`, `kernel = '${kernel}'`, `ramdisk = '${initrd}'`, `memory = 128`, disk];
      await dom0.write('/etc/xen/gone.cfg', [...lines, `root = '/dev/xvda rw'`, noInit].join('\n'));
      await dom0.run('xl', ['create', '/etc/xen/gone.cfg', `on_crash='destroy'`]);
      await expect(dom0.waitForGuest('gone', 'GUEST-UP boots=2')).rejects.toThrow('was gone before');
    },
    slowMs,
  );
});
