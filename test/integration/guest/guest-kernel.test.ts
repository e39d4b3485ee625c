import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { findGuestKernel } from '../../../src/guest/boot-menu/find-guest-kernel.ts';
import { takeBootFiles } from '../../../src/guest/boot-menu/take-boot-files.ts';
import type { Event } from '../../../src/events.ts';
import { findWantedKernel } from '../../../src/operations/migrate/conversion/guest-kernel-choice.ts';
import { GUEST_KERNEL, noConversion } from '../../../src/operations/migrate/conversion/guest-there.ts';
import { fakeDefinition } from '../../support/guests/fake-driver.ts';
import { newcArchive } from '../../../src/guest/initrd/newc-archive.ts';
import { smallKernel } from '../../support/guests/own-kernel.ts';
import { viewsMissing, viewsOf } from '../../support/images/containers.ts';
import { runTool, scratchDirectory } from '../../support/images/images.ts';
import { describeUnless, describeWithTools, toolsMissing } from '../../support/programs/tools.ts';

const context = { signal: new AbortController().signal };
const MIB = 2 ** 20;
const SECTORS = 2048;

const initrdWith = (...drivers: string[]): Buffer =>
  gzipSync(newcArchive(drivers.map((name) => ({ path: `lib/${name}.ko`, content: Buffer.from('x') }))));

const menuOf = (path: string, initrd: string) =>
  `set default="0"\nmenuentry 'Debian' {\n\tlinux ${path} root=/dev/xvda1 ro quiet\n\tinitrd ${initrd}\n}\n`;

const system = {
  'etc/fstab': '# <file system>\nUUID="12-34" / ext4 defaults 0 1\n',
  'sbin/init': 'ELF',
  'lib/modules/6.1.0-9/modules.builtin': 'kernel/sd_mod.ko\n',
  'lib/modules/6.1.0-9/modules.dep': 'kernel/virtio_blk.ko:\nkernel/ata_piix.ko:\n',
};
const boot = {
  'boot/vmlinuz-6.1.0-9': smallKernel('6.1.0-9'),
  'boot/initrd.img-6.1.0-9': initrdWith('virtio_blk'),
};

type Files = Readonly<Record<string, string | Uint8Array>>;

let scratch: ReturnType<typeof scratchDirectory>;
let count = 0;
beforeEach(() => {
  scratch = scratchDirectory();
});
afterEach(() => {
  scratch[Symbol.dispose]();
});

/** Makes a file system of these files. A text that begins with `->` makes a link. */
function makeImage(files: Files, ...options: string[]): string {
  const directory = join(scratch.path, String((count += 1)));
  for (const [name, content] of Object.entries(files)) {
    const path = join(directory, name);
    mkdirSync(dirname(path), { recursive: true });
    if (typeof content === 'string' && content.startsWith('->')) symlinkSync(content.slice(2), path);
    else writeFileSync(path, content);
  }
  const image = `${directory}.img`;
  writeFileSync(image, '');
  truncateSync(image, 8 * MIB);
  runTool('mke2fs', ['-qF', '-t', 'ext4', ...options, '-d', directory, image]);
  return image;
}

/** A disk of these file systems, a partition each. */
function makeDisk(...images: string[]): string {
  const disk = join(scratch.path, 'disk.img');
  writeFileSync(disk, Buffer.concat([Buffer.alloc(MIB), ...images.map((image) => readFileSync(image))]));
  truncateSync(disk, (2 + 8 * images.length) * MIB);
  const lines = images.map((_, at) => `start=${SECTORS * (1 + 8 * at)}, size=${SECTORS * 8}\n`);
  spawnSync('sfdisk', ['-q', disk], { input: `label: dos\n${lines.join('')}` });
  return disk;
}

const find = (...paths: string[]) =>
  findGuestKernel({ name: 'web', disks: paths.map((path) => ({ path })) }, context);
const made = () => ({
  kernel: join(scratch.path, 'state/kernel/web'),
  initrd: join(scratch.path, 'state/initrd/web'),
});
const inImage = (path: string, files: { kernel: string; initrds: string[] }, offset = 0) => ({
  image: { path },
  offset,
  ...files,
});
const expectNothingMade = () => {
  const directories = Object.values(made()).map((path) => dirname(path));
  expect(directories.flatMap((path) => (existsSync(path) ? readdirSync(path) : []))).toEqual([]);
};

describeWithTools('the kernel that a guest boots by itself', ['mke2fs', 'debugfs', 'sfdisk', 'gzip'], () => {
  test('is that of the default entry, and is taken out with its initial RAM disk', async () => {
    const image = makeImage({
      ...system,
      ...boot,
      'boot/grub/grub.cfg': menuOf('/boot/vmlinuz-6.1.0-9', '/boot/initrd.img-6.1.0-9'),
    });
    const kernel = await find(makeImage({ 'data/x': 'x' }), image);
    expect(kernel).toEqual({
      kernel: '/boot/vmlinuz-6.1.0-9',
      initrds: ['/boot/initrd.img-6.1.0-9'],
      place: { diskIndex: 1, offset: 0 },
      version: '6.1.0-9',
      foundBy: 'the entry ‘Debian’ of /boot/grub/grub.cfg',
      arguments: ['root=/dev/xvda1', 'ro', 'quiet'],
      leftOut: [],
      root: 'UUID=12-34',
      buses: ['virtio'],
      hasShell: false,
    });
    const paths = made();
    const { kernel: path, initrds } = kernel;
    expect(
      await takeBootFiles(inImage(image, { kernel: path, initrds: [...initrds] }), paths, context),
    ).toEqual(paths);
    expect(readFileSync(paths.kernel).equals(boot['boot/vmlinuz-6.1.0-9'])).toBe(true);
    expect(readFileSync(paths.initrd).equals(boot['boot/initrd.img-6.1.0-9'])).toBe(true);
    for (const one of Object.values(paths)) {
      expect(statSync(one).mode & 0o777).toBe(0o600);
      expect(readdirSync(dirname(one))).toEqual(['web']);
    }
  });

  test('lies on a partition of its own, where the menu’s paths begin, though /boot has older files', async () => {
    const root = makeImage({
      ...system,
      'etc/fstab': '/dev/xvda2 / ext4 defaults 0 1\nUUID=1 /boot ext2 defaults 0 2\n',
      'boot/grub/grub.cfg': menuOf('/boot/hidden', '/boot/hidden.img'),
      'boot/hidden': smallKernel('1.0'),
    });
    const separate = makeImage({
      'vmlinuz-6.1.0-9': smallKernel('6.1.0-9'),
      'initrd.img-6.1.0-9': initrdWith(),
      'grub/menu.lst': 'title Debian\nkernel /vmlinuz-6.1.0-9 root=/dev/xvda2\ninitrd /initrd.img-6.1.0-9\n',
      boot: '->.',
    });
    const disk = makeDisk(root, separate);
    expect(await find(disk)).toMatchObject({
      kernel: '/vmlinuz-6.1.0-9',
      place: { diskIndex: 0, offset: 9 * MIB },
      root: '/dev/xvda2',
      // The initial RAM disk has no driver, and the kernel itself none for a controller.
      buses: [],
    });
    const files = { kernel: '/boot/boot/vmlinuz-6.1.0-9', initrds: [] };
    const paths = made();
    expect(await takeBootFiles(inImage(disk, files, 9 * MIB), paths, context)).toEqual({
      ...paths,
      initrd: null,
    });
    expect(readFileSync(paths.kernel).equals(smallKernel('6.1.0-9'))).toBe(true);
  });

  test('is that of the links without a menu, and the newest without links', async () => {
    const links = { vmlinuz: '->boot/vmlinuz-6.1.0-9', 'initrd.img': '->/boot/initrd.img-6.1.0-9' };
    const newer = {
      'boot/vmlinuz-6.1.0-10': smallKernel('6.1.0-10'),
      'boot/initramfs-6.1.0-10.img': initrdWith(),
    };
    expect(await find(makeImage({ ...system, ...boot, ...newer, ...links }))).toMatchObject({
      kernel: '/vmlinuz',
      initrds: ['/initrd.img'],
      version: '6.1.0-9',
      arguments: [],
      buses: ['virtio'],
    });
    expect(await find(makeImage({ ...system, ...boot, ...newer }))).toMatchObject({
      kernel: '/boot/vmlinuz-6.1.0-10',
      initrds: ['/boot/initramfs-6.1.0-10.img'],
      version: '6.1.0-10',
      buses: null,
    });
  });

  test('is the newest as rpm orders versions, and no copy that somebody has left there', async () => {
    const spare = [
      '6.1.0-9.bak',
      '6.1.0-9.old',
      '7.0.rpmsave',
      '7.0.dpkg-tmp',
      '6.1.0-9-rc1',
      '5.14.0-70.el9',
    ];
    const files = Object.fromEntries(spare.map((name) => [`boot/vmlinuz-${name}`, smallKernel('1.0')]));
    expect(await find(makeImage({ ...system, ...boot, ...files }))).toMatchObject({
      kernel: '/boot/vmlinuz-6.1.0-9',
      foundBy: 'being the newest in /boot',
    });
  });

  const uuid = '0a1b2c3d-1111-2222-3333-444455556666';
  const separateBoot = {
    'vmlinuz-6.1.0-9': smallKernel('6.1.0-9'),
    'grub/grub.cfg': menuOf('/vmlinuz-6.1.0-9', ''),
  };
  test.each([
    ['UUID', `UUID=${uuid.toUpperCase()}`],
    ['quoted UUID', `UUID="${uuid}"`],
    ['label', 'LABEL="boot"'],
    ['device', '/dev/xvdb1'],
    ['link by its UUID', `/dev/disk/by-uuid/${uuid}`],
  ])(
    'lies where the guest mounts /boot by its %s, not on the first disk that has a menu',
    async (_, source) => {
      const stale = { 'grub/grub.cfg': menuOf('/vmlinuz-1.0', ''), 'vmlinuz-1.0': smallKernel('1.0') };
      const fstab = `/dev/xvda2 / ext4 defaults 0 1\n${source} /boot ext4 defaults 0 2\n`;
      const disks = [
        makeImage(stale),
        makeImage(separateBoot, '-U', uuid, '-L', 'boot'),
        makeImage(stale),
        makeImage({ ...system, 'etc/fstab': fstab }),
      ];
      expect(await find(...disks)).toMatchObject({ version: '6.1.0-9', place: { diskIndex: 1, offset: 0 } });
    },
  );

  test('lies on the disk of the system if nobody knows which file system /boot is', async () => {
    const stale = makeImage({
      'grub/grub.cfg': menuOf('/vmlinuz-1.0', ''),
      'vmlinuz-1.0': smallKernel('1.0'),
    });
    const fstab = 'PARTUUID=1-1 / ext4 defaults 0 1\nPARTUUID=1-2 /boot ext4 defaults 0 2\n';
    const disk = makeDisk(makeImage({ ...system, 'etc/fstab': fstab }), makeImage(separateBoot));
    expect(await find(stale, disk)).toMatchObject({ version: '6.1.0-9', place: { diskIndex: 1 } });
  });

  const long = `d${'x'.repeat(80)}`;
  test.each<[string, Files]>([
    ['a link of more than 60 bytes', { 'boot/grub/grub.cfg': `->../../${long}/grub.cfg` }],
    [
      'a link of more than 60 bytes, with steps up in it',
      { 'boot/grub/grub.cfg': `->/${long}/.././${long}/grub.cfg` },
    ],
    [
      'a relative link below a linked directory',
      { 'boot/grub': '->../srv/a/grub', 'srv/a/grub/grub.cfg': `->../../../${long}/grub.cfg` },
    ],
    [
      'a relative link below a directory that a link of more than 60 bytes leads to',
      { 'boot/grub': `->../${long}/in/grub`, [`${long}/in/grub/grub.cfg`]: '->../../grub.cfg' },
    ],
  ])('is that of a menu that is %s', async (_, links) => {
    const menuFile = { [`${long}/grub.cfg`]: menuOf('/boot/vmlinuz-6.1.0-9', '/boot/initrd.img-6.1.0-9') };
    const newer = { 'boot/vmlinuz-7.0': smallKernel('7.0') };
    expect(await find(makeImage({ ...system, ...boot, ...newer, ...menuFile, ...links }))).toMatchObject({
      version: '6.1.0-9',
      foundBy: 'the entry ‘Debian’ of /boot/grub/grub.cfg',
    });
  });

  test('is found in /boot though the file system is not known as that of the system', async () => {
    const grub = { 'boot/grub/grub.cfg': menuOf('/boot/vmlinuz-6.1.0-9', '/boot/initrd.img-6.1.0-9') };
    const kernel = await find(makeImage({ ...boot, ...grub, 'usr/sbin': '' }));
    expect(kernel).toMatchObject({ kernel: '/boot/vmlinuz-6.1.0-9', root: null, buses: null });
  });

  test('is found by Fedora’s entries where the menu itself is not on ext', async () => {
    const entry = (version: string) =>
      `title Fedora ${version}\nlinux /vmlinuz-${version}\noptions $kernelopts\n`;
    const image = makeImage({
      'loader/entries/1-6.5.0.conf': entry('6.5.0'),
      'loader/entries/1-6.6.0.conf': entry('6.6.0'),
      'grub2/grubenv': '# GRUB Environment Block\nsaved_entry=1-6.5.0\nkernelopts=root=/dev/vda2 ro\n####',
      'vmlinuz-6.5.0': smallKernel('6.5.0'),
    });
    expect(await find(image)).toMatchObject({
      kernel: '/vmlinuz-6.5.0',
      foundBy: 'the entry ‘Fedora 6.5.0’ of /loader/entries',
      arguments: ['root=/dev/vda2', 'ro'],
      root: null,
    });
  });

  const menu = (text: string): Files => ({ ...system, ...boot, 'boot/grub/grub.cfg': text });
  test.each<[string, Files, string]>([
    ['no kernel', system, 'web has no kernel that vmferry finds: '],
    [
      'a menu that names a missing kernel',
      menu(menuOf('/boot/nothing', '')),
      '/boot/nothing (by the entry ‘Debian’ of /boot/grub/grub.cfg) is not there',
    ],
    ['a directory as its kernel', menu(menuOf('/boot', '')), 'is not there'],
    [
      'a kernel that QEMU cannot load',
      { ...menu(menuOf('/boot/xen', '')), 'boot/xen': 'ELF' },
      'is no kernel that QEMU can load',
    ],
    ['a loop of links', { ...menu(menuOf('/boot/a', '')), 'boot/a': '->b', 'boot/b': '->a' }, 'is not there'],
    [
      'a link out of the guest',
      { ...menu(menuOf('/boot/a', '')), 'boot/a': '->../../../../etc/hostname' },
      'is not there',
    ],
    [
      'a path with blanks in it',
      { ...menu("menuentry x {\nlinux '/boot/a b'\n}\n"), 'boot/a b': smallKernel('1') },
      'is not there',
    ],
    [
      'an initial RAM disk that is missing',
      menu(menuOf('/boot/vmlinuz-6.1.0-9', '/boot/missing.img')),
      'the initial RAM disk /boot/missing.img is not there',
    ],
    [
      'an initial RAM disk with blanks in its name',
      { ...menu(menuOf('/boot/vmlinuz-6.1.0-9', '"/boot/a b"')), 'boot/a b': 'x' },
      'the initial RAM disk /boot/a b is not there',
    ],
    [
      'a menu that is a link to nothing',
      { ...system, ...boot, 'boot/grub/grub.cfg': '->../efi/grub.cfg' },
      "The guest's boot menu /boot/grub/grub.cfg is a link that cannot be followed in its file system",
    ],
    [
      'a menu that is a link to a name with a blank',
      { ...system, ...boot, 'boot/grub/grub.cfg': '->my menu', 'boot/grub/my menu': 'x' },
      'is a link that cannot be followed',
    ],
    [
      'two entries of 600 KiB each',
      {
        ...menu('blscfg\n'),
        'boot/loader/entries/a.conf': `linux /k\noptions ${'a '.repeat(300 * 1024)}`,
        'boot/loader/entries/b.conf': `linux /k\noptions ${'a '.repeat(300 * 1024)}`,
      },
      `The files in /boot/loader/entries of the guest have more than ${MIB} bytes together`,
    ],
    ['a menu of 2 MiB', menu('#'.repeat(2 * MIB)), `has ${2 * MIB} bytes`],
    [
      'a menu that cannot be followed',
      menu('menuentry x {\nlinux /boot/$v\n}\n'),
      'line 2 has the variable v',
    ],
  ])('is refused of a guest with %s', async (_, files, why) => {
    await expect(find(makeImage(files))).rejects.toMatchObject({
      code: 'guest-unsupported',
      message: expect.stringContaining(why),
      advice: expect.stringContaining('--kernel FILE'),
    });
  });

  test.each([
    ['bin/sh', true],
    ['usr/bin/sh', true],
    // As in each program that can start a shell.
    ['bin/nash', false],
  ])('has a shell in its initial RAM disk, or none: %s', async (path, hasShell) => {
    const program = { path, content: Buffer.from('\0/bin/sh\0bin/sh\0'), isExecutable: true };
    // Before Linux 2.6.33 nothing says which drivers are in the kernel itself.
    const { 'lib/modules/6.1.0-9/modules.builtin': _, ...old } = system;
    const initrd = gzipSync(newcArchive([program]));
    const found = await find(makeImage({ ...old, ...boot, 'boot/initrd.img-6.1.0-9': initrd }));
    expect(found).toMatchObject({ hasShell, buses: null });
    const unknown = await find(makeImage({ ...system, ...boot, 'boot/initrd.img-6.1.0-9': 'packed' }));
    expect(unknown).toMatchObject({ hasShell: null, buses: null });
  });

  test('is refused before the copy if its initial RAM disks are too large together', async () => {
    const image = makeImage(menu(menuOf('/boot/vmlinuz-6.1.0-9', '/boot/initrd.img-6.1.0-9 /boot/b.img')));
    const half = 130 * MIB;
    const second = makeImage({
      ...menu(menuOf('/boot/vmlinuz-6.1.0-9', '/boot/initrd.img-6.1.0-9 /boot/b.img')),
      'boot/b.img': 'b',
    });
    for (const name of ['initrd.img-6.1.0-9', 'b.img'])
      runTool('debugfs', ['-w', '-R', `sif /boot/${name} size ${half}`, second]);
    await expect(find(second)).rejects.toMatchObject({
      code: 'guest-unsupported',
      message: expect.stringContaining(
        `/boot/initrd.img-6.1.0-9 and /boot/b.img has ${2 * half} bytes, and at most 268435456 are taken`,
      ),
    });
    await expect(find(image)).rejects.toMatchObject({
      message: expect.stringContaining('the initial RAM disk /boot/b.img is not there'),
    });
  });

  test('is refused with what the disk holds if nobody can look into it', async () => {
    const path = join(scratch.path, 'luks.img');
    writeFileSync(path, Buffer.concat([Buffer.from('LUKS\xba\xbe\0\x01', 'latin1'), Buffer.alloc(MIB - 8)]));
    await expect(find(path)).rejects.toMatchObject({
      message: expect.stringMatching(/luks\.img holds .*LUKS/i),
    });
  });

  test('is not taken if it is too large, missing or no kernel, and an earlier one stays then', async () => {
    const image = makeImage({ ...system, ...boot, 'boot/text': 'text' });
    runTool('debugfs', ['-w', '-R', 'sif /boot/initrd.img-6.1.0-9 size 300000000', image]);
    const kernel = '/boot/vmlinuz-6.1.0-9';
    const take = (files: { kernel: string; initrds: string[] }) =>
      takeBootFiles(inImage(image, files), made(), context);
    const tooLarge = { kernel, initrds: ['/boot/initrd.img-6.1.0-9'] };
    const refusals: [{ kernel: string; initrds: string[] }, string][] = [
      [tooLarge, 'has 300000000 bytes, and at most 268435456 are taken'],
      [{ kernel, initrds: ['/boot/text', '/boot/missing'] }, '/boot/missing is not there'],
      [{ kernel: '/boot/text', initrds: [] }, '/boot/text is no kernel that QEMU can load'],
    ];
    for (const [files, why] of refusals) {
      await expect(take(files)).rejects.toMatchObject({
        code: 'read-failed',
        message: expect.stringContaining(why),
      });
      expectNothingMade();
    }
    await take({ kernel, initrds: ['/boot/text', '/boot/text'] });
    expect(readFileSync(made().initrd, 'latin1')).toBe('texttext');
    await expect(take({ kernel: '/boot/text', initrds: [] })).rejects.toMatchObject({ code: 'read-failed' });
    expect(readFileSync(made().kernel).equals(boot['boot/vmlinuz-6.1.0-9'])).toBe(true);
    expect(readdirSync(dirname(made().kernel))).toEqual(['web']);
  });

  test('is padded to 4 bytes between two initial RAM disks, as boot loaders do it', async () => {
    const image = makeImage({ ...boot, 'a.img': 'abcde', 'b.img': 'fg' });
    const files = { kernel: '/boot/vmlinuz-6.1.0-9', initrds: ['/a.img', '/b.img'] };
    await takeBootFiles(inImage(image, files), made(), context);
    expect(readFileSync(made().initrd, 'latin1')).toBe('abcde\0\0\0fg');
  });
});

describeWithTools('the kernel that a guest is to get', ['mke2fs', 'debugfs', 'gzip'], () => {
  const request = { ...noConversion, as: 'qemu' as const };
  const wanted = async (path: string, kernel: string | null, events: Event[] = []) => {
    const guest = fakeDefinition('web', [path], { driver: 'xen', boot: 'boot-loader' });
    const telling = { ...context, report: (event: Event) => events.push(event) };
    return findWantedKernel(guest, { ...request, kernel }, { isInUse: false }, telling);
  };

  test('is its own by default, if that has a driver for its disk there', async () => {
    const events: Event[] = [];
    expect(await wanted(makeImage({ ...system, ...boot }), null, events)).toMatchObject({
      version: '6.1.0-9',
    });
    expect(events).toEqual([]);
  });

  test('is not its own if its initial RAM disk is missing', async () => {
    const grub = { 'boot/grub/grub.cfg': menuOf('/boot/vmlinuz-6.1.0-9', '/boot/missing.img') };
    const events: Event[] = [];
    expect(await wanted(makeImage({ ...system, ...boot, ...grub }), null, events)).toBeNull();
    expect(events).toMatchObject([
      { code: 'kernel-differs', message: expect.stringContaining('/boot/missing.img is not there') },
    ]);
  });

  test('is not its own if that has no such driver: this is an error only where it was chosen', async () => {
    const image = makeImage({ ...system, ...boot, 'boot/initrd.img-6.1.0-9': initrdWith('xen-blkfront') });
    const events: Event[] = [];
    expect(await wanted(image, null, events)).toBeNull();
    const why = 'The kernel 6.1.0-9 of web has no driver for a disk that QEMU offers';
    expect(events).toMatchObject([
      {
        code: 'kernel-differs',
        message: expect.stringContaining(`web gets the new machine's kernel, not its own: ${why}`),
      },
    ]);
    await expect(wanted(image, GUEST_KERNEL)).rejects.toMatchObject({
      code: 'guest-unsupported',
      message: expect.stringContaining(why),
      advice: expect.stringContaining('virtio_blk'),
    });
  });
});

describeUnless(
  viewsMissing() ?? toolsMissing('mke2fs', 'debugfs', 'qemu-img', 'gzip'),
  'the kernel of a guest in a qcow2 image',
  () => {
    test('is found and taken out through a view of its disk', async () => {
      const path = join(scratch.path, 'web.qcow2');
      runTool('qemu-img', ['convert', '-O', 'qcow2', makeImage({ ...system, ...boot }), path]);
      const image = { path, format: 'qcow2' as const };
      const kernel = await findGuestKernel({ name: 'web', disks: [image] }, context);
      expect(kernel).toMatchObject({ version: '6.1.0-9', buses: ['virtio'] });
      const paths = made();
      await takeBootFiles({ ...kernel, image, offset: kernel.place.offset }, paths, context);
      expect(readFileSync(paths.initrd).equals(boot['boot/initrd.img-6.1.0-9'])).toBe(true);
      expect(viewsOf(process.pid)).toEqual([]);
    });
  },
);

const noOtherAccount = process.getuid?.() === 0 ? toolsMissing('mke2fs', 'debugfs', 'setpriv') : 'needs root';
describeUnless(noOtherAccount, 'the kernel that was taken out of a guest', () => {
  test('is read by no other account, though one that is given the file may open it', async () => {
    mkdirSync(join(scratch.path, 'state'), { mode: 0o700 });
    chmodSync(scratch.path, 0o755);
    const image = makeImage(boot);
    await takeBootFiles(inImage(image, { kernel: '/boot/vmlinuz-6.1.0-9', initrds: [] }), made(), context);
    const asNobody = (...command: string[]) =>
      spawnSync('setpriv', ['--reuid', '65534', '--clear-groups', ...command]).status;
    const { kernel } = made();
    expect(asNobody('head', '-c1', kernel)).not.toBe(0);
    expect(asNobody('ls', dirname(kernel))).not.toBe(0);
    runTool('chown', ['65534', kernel]);
    expect(asNobody('head', '-c1', kernel)).toBe(0);
  });
});
