import { describe, expect, test } from '@jest/globals';
import { planAdaptation } from '../../../../src/guest/adaptation/plan.ts';
import { convertDefinition } from '../../../../src/guest/conversion/convert.ts';
import type { GuestDefinition, NetworkCard } from '../../../../src/guest/definition.ts';
import type { GuestSystem } from '../../../../src/guest/inspection/guest-system.ts';
import { guestWithDisks } from './definitions.ts';

const from = guestWithDisks('uml', ['ubd0']);
const card: NetworkCard = { mac: '52:54:00:00:00:01', attachedTo: { kind: 'bridge', name: 'br0' } };
const to: GuestDefinition = {
  ...guestWithDisks('qemu', ['vda']),
  initrd: '/boot/initrd.img',
  console: 'ttyS0',
  networkCards: [card],
  commandLine: ['root=/dev/vda', 'rw', 'console=ttyS0'],
};
const fstab = '/dev/ubda / ext3 errors=remount-ro 0 1\n/dev/ubdb none swap sw 0 0\n';
const system: GuestSystem = {
  root: { diskIndex: 0, offset: 0, length: 2 ** 20 },
  init: 'systemd',
  udev: 'link-files',
  files: { '/etc/fstab': fstab },
  cardNames: ['eth0'],
  namedMacs: [],
  kernels: [],
  bootMenuRoots: [],
};
const inittab = '0:2345:respawn:/sbin/getty 38400 tty0\n';

function archived(archive: Uint8Array | null): string {
  return Buffer.from(archive ?? []).toString('latin1');
}

describe('a guest whose initial RAM disk is supplied', () => {
  test('gets all that it needs at boot, and no byte of its disk changes', () => {
    const { bootArchive, edits, commandLine, changes, warnings } = planAdaptation({ from, to, system });
    expect({ edits, warnings }).toEqual({ edits: [], warnings: [] });
    expect(commandLine).toEqual([
      'root=/dev/vda',
      'rw',
      'console=ttyS0',
      'rdinit=/vmferry/init',
      'vmferry.former=ubda:vda',
      'systemd.mask=dev-ubdb.swap',
    ]);
    const script = archived(bootArchive);
    expect(script).toContain('ln -s /dev/vda /dev/ubda\n');
    expect(script).toContain('SUBSYSTEM=="block", KERNEL=="vda", SYMLINK+="ubda"');
    expect(script).toContain('/run/systemd/network/10-vmferry-eth0.link');
    expect(script).toContain('MACAddress=52:54:00:00:00:01');
    expect(changes).toEqual([
      'At boot the disk /dev/vda can also be used as /dev/ubda.',
      'Swap on /dev/ubdb is switched off, because the disk is not there.',
      'At boot the network card 52:54:00:00:00:01 is named eth0.',
    ]);
  });

  test('with sysvinit, its login prompt needs an edit', () => {
    const sysvinit: GuestSystem = {
      ...system,
      init: 'sysvinit',
      files: { '/etc/fstab': fstab, '/etc/inittab': inittab },
    };
    const { edits, commandLine } = planAdaptation({ from, to, system: sysvinit });
    expect(edits).toEqual([
      { path: '/etc/inittab', before: inittab, after: inittab.replace('tty0', 'ttyS0') },
    ]);
    expect(commandLine).not.toContain('systemd.mask=dev-ubdb.swap');
  });

  test('gets an edit where a former name belongs to another disk now', () => {
    const swapped = { ...to, ...guestWithDisks('xen', ['xvda', 'xvdb']), initrd: '/boot/initrd.img' };
    const { bootArchive, edits } = planAdaptation({
      from: guestWithDisks('xen', ['xvda', 'xvdb']),
      to: swapped,
      system: { ...system, files: { '/etc/fstab': '/dev/xvda / ext3 defaults 0 1\n' } },
      newDiskIndexes: [1, 0],
    });
    expect(bootArchive).toBeNull();
    expect(edits.map(({ after }) => after)).toEqual(['/dev/xvdb / ext3 defaults 0 1\n']);
  });
});

describe('a guest with its root file system on a partition', () => {
  const system1: GuestSystem = {
    ...system,
    files: { '/etc/fstab': '/dev/ubda1 / ext3 defaults 0 1\n/dev/ubda2 none swap sw 0 0\n' },
  };

  test('finds the same partition at boot', () => {
    const { bootArchive, edits, commandLine } = planAdaptation({ from, to, system: system1 });
    expect(edits).toEqual([]);
    expect(archived(bootArchive)).toContain('ln -s /dev/vda1 /dev/ubda1\nln -s /dev/vda2 /dev/ubda2\n');
    expect(archived(bootArchive)).toContain(
      'KERNEL=="vda[0-9]*", ENV{DEVTYPE}=="partition", SYMLINK+="ubda%n"',
    );
    expect(commandLine.join(' ')).not.toContain('systemd.mask');
  });

  test('finds the same partition by an edit', () => {
    const { edits } = planAdaptation({ from, to: { ...to, initrd: null }, system: system1 });
    expect(edits[0]?.after).toBe('/dev/vda1 / ext3 defaults 0 1\n/dev/vda2 none swap sw 0 0\n');
  });
});

describe('a guest of Xen whose disks are single partitions', () => {
  const xen = guestWithDisks('xen', ['sda1', 'sda2']);
  const files = { '/etc/fstab': '/dev/sda1 / ext3 defaults 0 1\n/dev/xvda2 none swap sw 0 0\n' };

  test('finds them as whole disks, by both of their former names', () => {
    const whole = { ...to, ...guestWithDisks('qemu', ['vda', 'vdb']), initrd: '/boot/initrd.img' };
    const { bootArchive, edits } = planAdaptation({ from: xen, to: whole, system: { ...system, files } });
    expect(edits).toEqual([]);
    expect(archived(bootArchive)).toContain('ln -s /dev/vda /dev/sda1\nln -s /dev/vdb /dev/xvda2\n');
  });

  test('gets edits where a former name would be a partition of another disk', () => {
    const whole = { ...to, ...guestWithDisks('qemu', ['sda', 'sdb']), initrd: '/boot/initrd.img' };
    const { bootArchive, edits } = planAdaptation({ from: xen, to: whole, system: { ...system, files } });
    expect(archived(bootArchive)).not.toContain('ln -s');
    expect(edits[0]?.after).toBe('/dev/sda / ext3 defaults 0 1\n/dev/sdb none swap sw 0 0\n');
  });
});

describe('a guest that was adapted at boot, and moves on', () => {
  const { commandLine: adapted } = planAdaptation({ from, to, system });
  const moved: GuestDefinition = { ...to, commandLine: adapted };
  const moveOn = (driver: 'xen' | 'uml' | 'libvirt') => {
    const { definition } = convertDefinition(moved, { driver, choices: {} });
    const initrd = driver === 'uml' ? null : '/boot/initrd.img';
    return planAdaptation({ from: moved, to: { ...definition, initrd }, system });
  };

  test('keeps the names of its first machine under a third hypervisor', () => {
    const { bootArchive, edits, commandLine, warnings } = moveOn('xen');
    expect({ edits, warnings }).toEqual({ edits: [], warnings: [] });
    expect(archived(bootArchive)).toContain('ln -s /dev/xvda /dev/ubda\n');
    expect(commandLine.filter((argument) => /vmferry|mask/.test(argument))).toEqual([
      'systemd.mask=dev-ubdb.swap',
      'rdinit=/vmferry/init',
      'vmferry.former=ubda:xvda',
    ]);
  });

  test('keeps its names where only the initial RAM disk is another one', () => {
    for (const plan of [moveOn('libvirt'), planAdaptation({ from: moved, to: moved, system })]) {
      expect(archived(plan.bootArchive)).toContain('ln -s /dev/vda /dev/ubda\n');
      expect(archived(plan.bootArchive)).toContain("echo 'Name=eth0'");
      expect(plan.commandLine.toSorted()).toEqual(adapted.toSorted());
    }
  });

  test('needs none of it where its names are right again', () => {
    const { bootArchive, edits, commandLine } = moveOn('uml');
    expect(bootArchive).toBeNull();
    expect(edits.map(({ after }) => after)).toEqual([
      '/dev/ubda / ext3 errors=remount-ro 0 1\n# vmferry: /dev/ubdb none swap sw 0 0\n',
      expect.stringContaining('Name=eth0'),
    ]);
    expect(commandLine.join(' ')).not.toMatch(/vmferry/);
  });

  test('has several disks in their places, and passes over names that make no sense', () => {
    const odd = ['rdinit=/vmferry/init', 'vmferry.former=ubda:vdb,x,ubdc:vdz,y:z:a,;:vda'];
    const two: GuestDefinition = { ...moved, ...guestWithDisks('qemu', ['vda', 'vdb']), commandLine: odd };
    const { definition } = convertDefinition(two, { driver: 'uml', choices: {} });
    const plan = planAdaptation({ from: two, to: definition, system });
    expect(plan.edits[0]?.after).toMatch(/^\/dev\/ubdb \/ /);
  });
});

describe('a guest without an initial RAM disk', () => {
  test('gets edits of its files', () => {
    const { bootArchive, edits, commandLine } = planAdaptation({ from, to: { ...to, initrd: null }, system });
    expect(bootArchive).toBeNull();
    expect(commandLine).toEqual(['root=/dev/vda', 'rw', 'console=ttyS0']);
    expect(edits).toEqual([
      {
        path: '/etc/fstab',
        before: fstab,
        after: '/dev/vda / ext3 errors=remount-ro 0 1\n# vmferry: /dev/ubdb none swap sw 0 0\n',
      },
      {
        path: '/etc/systemd/network/10-vmferry-eth0.link',
        before: null,
        after: expect.stringContaining('Name=eth0') as unknown,
      },
    ]);
  });

  test('finds its only card without a MAC address', () => {
    const networkCards = [{ attachedTo: card.attachedTo }];
    const { edits, warnings } = planAdaptation({ from, to: { ...to, initrd: null, networkCards }, system });
    expect(edits[1]?.after).toContain('\nDriver=virtio_net vif ');
    expect(warnings).toEqual([]);
  });

  test('is told its root disk, which User Mode Linux needs not', () => {
    expect(
      planAdaptation({ from, to: { ...to, commandLine: ['rw'] }, system }).commandLine.slice(0, 2),
    ).toEqual(['root=/dev/vda', 'rw']);
  });

  test('gets a rule of an old udev for its card', () => {
    const { edits } = planAdaptation({
      from,
      to: { ...to, initrd: null },
      system: { ...system, udev: 'rules' },
    });
    expect(edits[1]?.after).toContain('ATTR{address}=="52:54:00:00:00:01", NAME="eth0"');
  });
});

describe('a guest that comes to User Mode Linux', () => {
  test('gets edits: there is no initial RAM disk', () => {
    const arrived: GuestDefinition = {
      ...guestWithDisks('uml', ['ubd0']),
      commandLine: ['root=/dev/ubda', 'eth0=tuntap,tap0,52:54:00:00:00:0A', 'con0=fd:0,fd:1'],
    };
    const { edits, warnings } = planAdaptation({
      from: { ...to, networkCards: [card] },
      to: arrived,
      system: { ...system, files: { '/etc/fstab': '/dev/vda / ext4 defaults 0 1\n' }, cardNames: ['ens3'] },
    });
    expect(edits.map(({ path }) => path)).toEqual([
      '/etc/fstab',
      '/etc/systemd/network/10-vmferry-ens3.link',
    ]);
    expect(edits[0]?.after).toBe('/dev/ubda / ext4 defaults 0 1\n');
    expect(edits[1]?.after).toContain('MACAddress=52:54:00:00:00:0a\n[Link]\nName=ens3\n');
    expect(warnings).toEqual([]);
  });
});

describe('a guest that needs nothing', () => {
  test('stays as it is under the same hypervisor', () => {
    const same = { ...to, commandLine: ['root=/dev/vda', 'console=ttyS0'] };
    expect(planAdaptation({ from: same, to: same, system })).toEqual({
      bootArchive: null,
      edits: [],
      commandLine: same.commandLine,
      changes: [],
      warnings: [],
    });
  });

  test('boots by its own boot loader with its own command line', () => {
    const firmware: GuestDefinition = {
      ...to,
      boot: 'firmware',
      kernel: null,
      initrd: null,
      commandLine: [],
    };
    const byLabel = { ...system, files: { '/etc/fstab': 'UUID=1 / ext3 defaults 0 1\n' }, cardNames: [] };
    expect(
      planAdaptation({ from: { ...from, boot: 'firmware' }, to: firmware, system: byLabel }),
    ).toMatchObject({
      edits: [],
      commandLine: [],
    });
  });
});

test('a boot menu that names a disk by its former name is a warning', () => {
  const firmware: GuestDefinition = { ...to, boot: 'firmware', kernel: null, initrd: null, commandLine: [] };
  const bootMenuRoots = ['UUID=1', '/dev/vda1', '/dev/ubda1'];
  const { warnings } = planAdaptation({ from, to: firmware, system: { ...system, bootMenuRoots } });
  expect(warnings).toEqual([expect.stringContaining('/dev/ubda1, which is /dev/vda1 there')]);
});

describe('what vmferry cannot keep is a warning', () => {
  const unknownMac = { attachedTo: card.attachedTo };
  test.each([
    ['one of several cards, of unknown MAC address', [unknownMac, card], system, /MAC address/],
    ['cards without a number', [card, card], { ...system, cardNames: ['ens3', 'ens4'] }, /which card/],
    ['a guest without udev', [card], { ...system, udev: 'none' as const, cardNames: ['lan'] }, /no udev/],
    ['a guest that nobody could look into', [card], null, /names of devices/],
  ])('%s', (_, networkCards, inside, warning) => {
    const { warnings } = planAdaptation({ from, to: { ...to, networkCards }, system: inside });
    expect(warnings).toEqual(expect.arrayContaining([expect.stringMatching(warning)]));
  });
});
