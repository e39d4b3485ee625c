import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { copyFile, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { GuestDefinition } from '../../src/guest/definition.ts';
import { createRecordStore } from '../../src/guest/record-store.ts';
import { succeed } from '../rigs/base/command.ts';
import { guestKernel, guestKernelMissing, type GuestKernel } from '../rigs/kernel/guest-kernel.ts';
import { libvirtMissing, startLibvirt, type LibvirtLab } from '../rigs/libvirt/libvirt-lab.ts';
import { eventually, ferriedGuest } from '../support/guests/ferried-guest.ts';
import { powerButton } from '../support/guests/guest-programs.ts';
import { bootMenu, MENU_ARGUMENT, ownKernel } from '../support/guests/own-kernel.ts';
import { buildGuestImage, damagedGuestFiles, guestBootCount } from '../support/guests/uml-guest.ts';
import { umlMissing } from '../support/guests/uml-kernel.ts';
import { errorOf, resultOf, warningsOf } from '../support/programs/command-records.ts';
import { describeUnless, toolsMissing } from '../support/programs/tools.ts';
import { networkLabMissing } from '../support/ssh/network-lab.ts';
import { startTwoHosts, type TwoHosts } from '../support/ssh/two-hosts.ts';

const missing =
  umlMissing() ??
  networkLabMissing() ??
  guestKernelMissing() ??
  libvirtMissing() ??
  toolsMissing('qemu-system-x86_64', 'debugfs', 'sfdisk');

const slow = ['--boot-timeout', '300', '--halt-timeout', '60'];
const MIB = 2 ** 20;

describeUnless(missing, 'a guest with a kernel on its own disk', () => {
  let hosts: TwoHosts;
  let kernel: GuestKernel;
  let libvirt: LibvirtLab;
  beforeAll(async () => {
    kernel = await guestKernel();
    hosts = await startTwoHosts(async (network) => {
      libvirt = await startLibvirt(network.prefix('new'));
      return { new: { LIBVIRT_DEFAULT_URI: libvirt.uri } };
    });
  });
  afterAll(async () => {
    await hosts[Symbol.asyncDispose]();
    await libvirt[Symbol.asyncDispose]();
  });

  /** The only file that was made for the guest there. */
  const made = (kind: 'kernel' | 'initrd', name: string) => {
    const [file = '', ...more] = readdirSync(join(hosts.new.stateDir, kind)).filter((one) =>
      one.startsWith(`${name}-`),
    );
    expect(more).toEqual([]);
    return join(hosts.new.stateDir, kind, file);
  };
  const consoleThere = (name: string) =>
    readFileSync(join(hosts.new.stateDir, 'console', `${name}.log`), 'latin1');

  /** As if an earlier move had brought the guest to the old host: its kernel is there, and the new host has to get it, too. */
  async function expectAskedForAgain(path: string): Promise<void> {
    const definition: GuestDefinition = {
      name: 'again',
      driver: 'qemu',
      memoryBytes: 192 * MIB,
      cpuCount: 1,
      kernel: join(hosts.old.stateDir, 'kernel/again'),
      initrd: join(hosts.old.stateDir, 'initrd/again'),
      disks: [{ device: 'vda', path: `${path}.again`, readOnly: false, bus: 'virtio' }],
      commandLine: ['root=/dev/vda', 'console=ttyS0'],
    };
    await copyFile(path, `${path}.again`);
    const records = createRecordStore(join(hosts.old.stateDir, 'guests'));
    await records.write({ definition, state: 'halted' });
    const ended = await hosts.run(['migrate', 'again', ...hosts.targetArguments(), '--dry-run', '--json']);
    expect(resultOf<{ changes: string[] }>(ended).changes).toContainEqual(
      expect.stringContaining(`The kernel is the guest's own ${kernel.version}`),
    );
    await records.remove('again');
  }

  /** Returns the kernel's command line, as the guest itself has printed it there. */
  async function bootedThere(name: string): Promise<string> {
    let line = '';
    await eventually(`${name} says what it has booted`, 300_000, () => {
      line = /^BOOTED .*$/m.exec(consoleThere(name))?.[0] ?? '';
      return line !== '';
    });
    const [, version, commandLine = ''] = /^BOOTED (\S+) by (.*?)\s*$/.exec(line) ?? [];
    expect(version).toBe(kernel.version);
    return commandLine;
  }

  /** The kernel is that of its disk, and so is the beginning of its initial RAM disk. */
  async function expectTaken(name: string): Promise<void> {
    expect((await readFile(made('kernel', name))).equals(await readFile(kernel.packedKernel))).toBe(true);
    const [own, there] = [await readFile(kernel.initrd), await readFile(made('initrd', name))];
    expect(there.subarray(0, own.length).equals(own)).toBe(true);
  }

  test('boots that one under QEMU if it is told to, in a rehearsal and in a move, and is taken back', async () => {
    const guest = await ferriedGuest(hosts, 'web', {
      programs: [powerButton, ownKernel(kernel, '/dev/sda1')],
    });
    const move = [
      ...(await guest.migrateArguments()),
      '--as',
      'qemu',
      '--kernel',
      'guest',
      ...slow.slice(0, 2),
    ];
    const refused = await hosts.run([...(await guest.migrateArguments()), '--kernel', 'guest']);
    expect(errorOf(refused)).toMatchObject({
      code: 'usage',
      advice: expect.stringContaining('User Mode Linux'),
    });

    const plan = await hosts.run([...move, '--dry-run']);
    const { changes, losses } = resultOf<{ changes: string[]; losses: string[] }>(plan);
    const own = `The kernel is the guest's own ${kernel.version}, /boot/vmlinuz-${kernel.version} (by the entry ‘Debian GNU/Linux’ of /boot/grub/grub.cfg)`;
    expect(changes).toContainEqual(expect.stringContaining(own));
    expect(changes).toContainEqual(expect.stringContaining('Later upgrades of the kernel in the guest'));
    expect(losses).toContainEqual(expect.stringMatching(/^\$vt_handoff of the boot menu is left out/));
    expect(guest.runsOn('old')).toBe(true);
    expect(existsSync(join(hosts.new.stateDir, 'kernel'))).toBe(false);
    await expectAskedForAgain(guest.image.path);

    const rehearse = ['rehearse', ...move.slice(1), '--pause'];
    expect(resultOf(await hosts.run(rehearse))).toMatchObject({ type: 'rehearsed', as: 'qemu' });
    for (const kind of ['kernel', 'initrd'] as const)
      expect(await readdir(join(hosts.new.stateDir, kind))).toEqual([]);
    expect(guest.runsOn('old')).toBe(true);

    const boots = await guestBootCount(guest.image.path);
    expect(resultOf(await hosts.run([...move, '--keep-open']))).toMatchObject({
      type: 'moved',
      as: 'qemu',
    });
    const commandLine = await bootedThere('web');
    expect(commandLine).toContain(MENU_ARGUMENT);
    // Where it ran before, its root file system was another than the menu says.
    expect(commandLine).toContain('root=/dev/vda ');
    expect(commandLine).not.toContain('/dev/sda1');
    await expectTaken('web');

    const reverted = await hosts.run(['revert', 'web', ...slow, '--json']);
    expect(resultOf(reverted)).toMatchObject({ type: 'reverted', wasRunningThere: true });
    expect(guest.runsOn('old')).toBe(true);
    expect(await guestBootCount(join(hosts.new.images, 'web.img'))).toBe(boots + 1);
    expect((await hosts.run(['halt', 'web'])).exitStatus).toBe(0);
    expect(await damagedGuestFiles(guest.image.path, guest.image.files)).toEqual([]);
  });

  test('boots that one under libvirt by default if pygrub booted it before', async () => {
    const path = join(hosts.old.images, 'shop.img');
    await buildDiskWithBoot(path);
    const definition: GuestDefinition = {
      name: 'shop',
      driver: 'xen',
      memoryBytes: 192 * MIB,
      cpuCount: 1,
      kernel: null,
      initrd: null,
      boot: 'boot-loader',
      virtualization: 'pv',
      disks: [{ device: 'xvda', path, readOnly: false, bus: 'xen' }],
      commandLine: ['own.xl=yes'],
    };
    // Its hypervisor is not here: it is a guest that vmferry remembers.
    await createRecordStore(join(hosts.old.stateDir, 'guests')).write({ definition, state: 'halted' });
    const target = hosts.targetArguments();
    const ended = await hosts.run(['migrate', 'shop', ...target, '--as', 'libvirt', ...slow, '--json']);
    expect(resultOf(ended)).toMatchObject({ type: 'moved', as: 'libvirt' });
    expect(warningsOf(ended).map(({ code }) => code)).not.toContain('kernel-differs');
    const commandLine = await bootedThere('shop');
    // The menu said /dev/xvda2.
    expect(commandLine).toMatch(new RegExp(`root=/dev/vda2 .*${MENU_ARGUMENT} .*own.xl=yes.* console=ttyS0`));
    await expectTaken('shop');
    const xml = await libvirt.virsh('dumpxml', 'shop');
    expect(xml).toMatchObject({
      stdout: expect.stringContaining(`<kernel>${made('kernel', 'shop')}</kernel>`),
    });
    const halted = await hosts.runOnNew(['halt', 'shop', '--halt-timeout', '60']);
    expect(halted).toMatchObject({ exitStatus: 0 });
  });

  test('boots that one when it is restored as a guest of QEMU', async () => {
    const path = join(hosts.old.images, 'mail.img');
    await buildGuestImage({ path, programs: [powerButton, ownKernel(kernel, '/dev/sda1')] });
    const definition: GuestDefinition = {
      name: 'mail',
      driver: 'uml',
      memoryBytes: 192 * MIB,
      cpuCount: null,
      kernel: null,
      initrd: null,
      disks: [{ device: 'ubd0', path, readOnly: false }],
      commandLine: ['root=/dev/ubda'],
    };
    await createRecordStore(join(hosts.old.stateDir, 'guests')).write({ definition, state: 'halted' });
    const store = join(hosts.old.home, 'store');
    resultOf(await hosts.run(['init', store, '--no-encrypt', '--json']));
    resultOf(await hosts.run(['backup', 'mail', '--to', store, '--json']));
    const to = ['--to', join(hosts.new.images, 'mail.img'), '--start', '--old-host-is-gone'];
    const as = ['--as', 'qemu', '--kernel', 'guest', ...slow.slice(0, 2)];
    const restored = await hosts.runOnNew(['restore', store, 'mail', ...to, ...as, '--json']);
    expect(resultOf(restored)).toMatchObject({ type: 'restored', guest: 'mail' });
    expect(await bootedThere('mail')).toMatch(
      new RegExp(`root=/dev/vda .*${MENU_ARGUMENT}|${MENU_ARGUMENT} .*root=/dev/vda`),
    );
    await expectTaken('mail');
    const halted = await hosts.runOnNew(['halt', 'mail', '--halt-timeout', '60']);
    expect(halted).toMatchObject({ exitStatus: 0 });
  });

  /** /boot is a partition of its own, before that of the system. */
  async function buildDiskWithBoot(path: string): Promise<void> {
    const [boot, root] = [`${path}.boot`, `${path}.root`];
    const { version } = kernel;
    const system = ownKernel(kernel, '/dev/nowhere');
    await buildGuestImage({
      path: root,
      onCtrlAltDel: 'quick-poweroff',
      programs: [powerButton, { ...system, install: () => Promise.resolve() }],
    });
    await writeFile(boot, '');
    await truncate(boot, 64 * MIB);
    const menu = `${path}.menu`;
    await writeFile(menu, bootMenu(version, '/dev/xvda2', ''));
    await succeed('mke2fs', ['-qF', '-t', 'ext2', boot]);
    const lines = [
      'mkdir /grub',
      `write ${menu} /grub/grub.cfg`,
      `write ${kernel.packedKernel} /vmlinuz-${version}`,
      `write ${kernel.initrd} /initrd.img-${version}`,
    ];
    await writeFile(`${menu}.commands`, lines.join('\n'));
    await succeed('debugfs', ['-w', '-f', `${menu}.commands`, boot]);
    await writeFile(
      path,
      Buffer.concat([Buffer.alloc(MIB), await readFile(boot), await readFile(root), Buffer.alloc(MIB)]),
    );
    await succeed('sh', [
      '-c',
      'printf "label: dos\\nstart=2048, size=131072\\nstart=133120, size=131072\\n" | sfdisk -q "$1"',
      'sh',
      path,
    ]);
  }
});
