import { appendFile, chmod, copyFile, mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { toolsMissing } from '../../support/programs/tools.ts';
import { aptSources } from '../base/apt-sources.ts';
import { cachedBuild, digestOfFiles } from '../base/build-cache.ts';
import { succeed } from '../base/command.ts';

export type DebianInit = 'systemd' | 'sysvinit';

const release = 'bookworm';
export const DEBIAN_GUEST_BYTES = 700 * 2 ** 20;
const initPackages = { systemd: 'systemd-sysv,udev,dbus', sysvinit: 'sysvinit-core,udev' };
const packages = 'ifupdown,iproute2,isc-dhcp-client,openssh-server,e2fsprogs,qemu-guest-agent,kmod,procps';
/** No person reads in the guest. */
const leftOut = ['doc', 'man', 'locale', 'info', 'lintian', 'bash-completion', 'zoneinfo'];

/** Why no Debian guest can be made here; null when one can. */
export function debianGuestMissing(): string | null {
  if (process.getuid?.() !== 0) return 'only root can install Debian into a directory';
  return toolsMissing('mmdebstrap', 'apt-get', 'apt-cache', 'mke2fs', 'chroot', 'cp');
}

/**
 * Copies a guest as guests of User Mode Linux were made: Debian on an ext3 file system without partitions, no kernel, a
 * fstab with /dev/ubda and a stale line of swap, a login prompt on tty0, and eth0 by DHCP. It is built once, in about a
 * minute, and kept in the rigs' cache. When it is up it writes a report to its console (`report.sh`).
 */
export async function copyDebianGuest(init: DebianInit, target: string): Promise<void> {
  const directory = await cachedBuild({
    name: `debian-${init}`,
    key: [
      await packageVersions(),
      digestOfFiles(import.meta.dirname, readdirSync(import.meta.dirname).toSorted()),
    ],
    build: (built) => buildGuest(init, built),
  });
  await succeed('cp', ['--sparse=always', '--reflink=auto', join(directory, 'guest.img'), target]);
}

async function packageVersions(): Promise<string> {
  const names = ['base-files', 'systemd', 'sysvinit-core', 'udev', 'ifupdown'];
  const text = await succeed('apt-cache', ['show', '--no-all-versions', ...names]).catch(() => '');
  return [...text.matchAll(/^(?:Package|Version): .*$/gm)].map(([line]) => line).join('\n');
}

async function buildGuest(init: DebianInit, directory: string): Promise<void> {
  const tree = join(directory, 'tree');
  await succeed('mmdebstrap', [
    '--quiet',
    '--variant=minbase',
    '--mode=root',
    '--format=directory',
    `--include=${initPackages[init]},${packages}`,
    '--aptopt=Acquire::Check-Valid-Until "false"',
    '--aptopt=Acquire::Languages "none"',
    ...leftOut.map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`),
    release,
    tree,
    ...(await aptSources(release)),
  ]);
  await configure(tree, init);
  const image = join(directory, 'guest.img');
  await writeFile(image, '');
  await truncate(image, DEBIAN_GUEST_BYTES);
  await succeed('mke2fs', ['-qF', '-t', 'ext3', '-L', 'umlroot', '-E', 'root_owner=0:0', '-d', tree, image]);
  await rm(tree, { recursive: true });
}

async function configure(tree: string, init: DebianInit): Promise<void> {
  const write = (path: string, ...lines: string[]) => writeFile(join(tree, path), `${lines.join('\n')}\n`);
  await write('etc/hostname', 'umlguest');
  await write(
    'etc/fstab',
    '/dev/ubda / ext3 errors=remount-ro 0 1',
    'proc /proc proc defaults 0 0',
    // With the usual time limit, systemd would wait for it for 90 s.
    '/dev/ubdb none swap sw,nofail,x-systemd.device-timeout=5s 0 0',
  );
  await write('etc/network/interfaces', 'auto lo eth0', 'iface lo inet loopback', 'iface eth0 inet dhcp');
  await rm(join(tree, 'usr/lib/udev/hwdb.bin'), { force: true });
  await rm(join(tree, 'var/lib/apt/lists'), { recursive: true, force: true });
  const report = join(tree, 'usr/local/sbin/report');
  await copyFile(join(import.meta.dirname, 'report.sh'), report);
  await chmod(report, 0o755);
  if (init === 'systemd') {
    await write(
      'etc/systemd/system/report.service',
      '[Unit]\nAfter=multi-user.target',
      '[Service]\nType=oneshot\nExecStart=/usr/local/sbin/report',
      '[Install]\nWantedBy=graphical.target',
    );
    await succeed('chroot', [tree, 'systemctl', 'enable', 'report.service']);
    return;
  }
  const inittab = await readFile(join(tree, 'etc/inittab'), 'utf8');
  const gettys = inittab.replace(/^[1-6]:2.*\n/gm, '');
  await writeFile(join(tree, 'etc/inittab'), `${gettys}0:2345:respawn:/sbin/getty 38400 tty0\n`);
  await mkdir(join(tree, 'etc/init.d'), { recursive: true });
  await appendFile(join(tree, 'etc/inittab'), 're:2:once:/usr/local/sbin/report\n');
}
