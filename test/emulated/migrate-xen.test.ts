import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { EXTRA_DISK_BYTES } from '../rigs/xen/machine.ts';
import { makeBlankDisk } from '../rigs/xen/program-disk.ts';
import { startXen, xenMissing, type Dom0 } from '../rigs/xen/start-xen.ts';
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
import { vmferry } from '../support/programs/command-line.ts';
import { killTree } from '../support/programs/process-tree.ts';
import { describeUnless } from '../support/programs/tools.ts';

const slowMs = 10 * 60_000;

/** A guest that runs under User Mode Linux on this machine, for the first time. */
interface GuestHere extends GuestImage, AsyncDisposable {
  name: string;
  address: string;
  mac: string;
}

describeUnless(umlMissing() ?? xenMissing(), 'Xen', () => {
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
    dom0 = await startXen({ extraDisk });
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
      const report = await moveToXen('web', 'dom0', '--disk', 'root=/dev/vdc');
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
      expect(await guestBootCount(dom0.extraDisk)).toBe(3);
      expect(await damagedGuestFiles(dom0.extraDisk, web.files)).toEqual([]);
      expect(await isFileSystemClean(dom0.extraDisk)).toBe(true);
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
    'ends a wait in the rig for a guest that halts instead',
    async () => {
      const noInit = `extra='console=hvc0 quiet init=/sbin/nothing'`;
      const { kernel, initrd } = dom0.guestKernel;
      const disk = `disk = ['file:/srv/guests/shop.img,xvda,w']`;
      const lines = [`name = 'gone'`, `kernel = '${kernel}'`, `ramdisk = '${initrd}'`, `memory = 128`, disk];
      await dom0.write('/etc/xen/gone.cfg', [...lines, `root = '/dev/xvda rw'`, noInit].join('\n'));
      await dom0.run('xl', ['create', '/etc/xen/gone.cfg', `on_crash='destroy'`]);
      await expect(dom0.waitForGuest('gone', 'GUEST-UP boots=2')).rejects.toThrow('was gone before');
    },
    slowMs,
  );
});
