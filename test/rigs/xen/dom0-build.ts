import { readdirSync } from 'node:fs';
import { appendFile, chmod, copyFile, cp, mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';
import { gunzipSync } from 'node:zlib';
import { makeKey } from '../../support/ssh/ssh-client-files.ts';
import { cachedBuild, digestOfFiles } from '../base/build-cache.ts';
import { succeed } from '../base/command.ts';
import { guestKernel, type GuestKernel } from '../kernel/guest-kernel.ts';
import { dom0PackageVersions, installDom0Packages } from './dom0-packages.ts';

/** The files of a machine with Xen; none of them is ever written to again. */
export interface Dom0Build {
  directory: string;
  /** The hypervisor, which QEMU starts by multiboot. */
  hypervisor: string;
  kernel: GuestKernel;
  /** dom0's disk: a file system without partition table. */
  disk: string;
  /** root's key for dom0; `.pub` is beside it. */
  identityFile: string;
  hostKeyFile: string;
}

const DISK_BYTES = 4 * 2 ** 30;
const ownFiles = join(import.meta.dirname, 'dom0');

/** Builds dom0 from Debian's packages, or finds it in the cache. */
export async function dom0Build(): Promise<Dom0Build> {
  const kernel = await guestKernel();
  const directory = await cachedBuild({
    name: 'xen',
    key: [
      basename(dirname(kernel.kernel)),
      await dom0PackageVersions(),
      process.version,
      digestOfFiles(ownFiles, readdirSync(ownFiles).toSorted()),
      digestOfFiles(import.meta.dirname, ['dom0-build.ts', 'dom0-packages.ts']),
    ],
    build: (target) => buildDom0(target, kernel),
  });
  return { ...filesIn(directory), directory, kernel };
}

function filesIn(directory: string) {
  return {
    hypervisor: join(directory, 'xen'),
    disk: join(directory, 'dom0.img'),
    identityFile: join(directory, 'id_ed25519'),
    hostKeyFile: join(directory, 'ssh_host_ed25519_key'),
  };
}

async function buildDom0(target: string, kernel: GuestKernel): Promise<void> {
  const { hypervisor, disk, identityFile, hostKeyFile } = filesIn(target);
  const root = join(target, 'root');
  await installDom0Packages(root);
  const packed = readdirSync(join(root, 'boot')).find((name) => /^xen-[\d.]+-amd64\.gz$/.test(name)) ?? '';
  await writeFile(hypervisor, gunzipSync(await readFile(join(root, 'boot', packed))));
  await makeKey(identityFile);
  await makeKey(hostKeyFile);
  await installKernel(root, kernel);
  await configure(root, identityFile, hostKeyFile);
  for (const name of ['var/cache/apt', 'var/lib/apt/lists', 'usr/lib/udev/hwdb.d', 'usr/lib/udev/hwdb.bin'])
    await rm(join(root, name), { recursive: true, force: true });
  await writeFile(disk, '');
  await truncate(disk, DISK_BYTES);
  const features = ['-O', '^metadata_csum,^64bit', '-E', 'lazy_itable_init=1,root_owner=0:0', '-m', '0'];
  await succeed('mke2fs', ['-qF', '-t', 'ext4', ...features, '-d', root, disk]);
  await rm(root, { recursive: true });
}

/** Guests boot with dom0's kernel. It has the name of the packed one, and takes its place: see GuestKernel. */
async function installKernel(
  root: string,
  { kernel, initrd, version, modulesTree }: GuestKernel,
): Promise<void> {
  await copyFile(kernel, join(root, 'boot', `vmlinuz-${version}`));
  await copyFile(initrd, join(root, 'boot', `initrd.img-${version}`));
  await cp(join(modulesTree, 'lib/modules'), join(root, 'lib/modules'), { recursive: true });
}

async function configure(root: string, identityFile: string, hostKeyFile: string): Promise<void> {
  const write = async (name: string, text: string) => {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), text);
  };
  await write('etc/hostname', 'dom0\n');
  await write('etc/hosts', '127.0.0.1 localhost\n127.0.1.1 dom0\n');
  await write('etc/fstab', '/dev/vda / ext4 noatime 0 1\n');
  const programs = { 'dom0-up': 'etc/init.d', 'dom0-down': 'etc/init.d', vmferry: 'usr/local/bin' };
  for (const [name, folder] of Object.entries(programs)) {
    await copyFile(join(ownFiles, name), join(root, folder, name));
    await chmod(join(root, folder, name), 0o755);
  }
  await copyFile(process.execPath, join(root, 'usr/local/bin/node'));
  await chmod(join(root, 'usr/local/bin/node'), 0o755);
  await copyFile(join(ownFiles, 'inittab'), join(root, 'etc/inittab'));
  await copyFile(join(ownFiles, 'sshd_config'), join(root, 'etc/ssh/sshd_config'));
  await write('root/.ssh/authorized_keys', await readFile(`${identityFile}.pub`, 'utf8'));
  await copyFile(hostKeyFile, join(root, 'etc/ssh/ssh_host_ed25519_key'));
  await chmod(join(root, 'etc/ssh/ssh_host_ed25519_key'), 0o600);
  for (const name of ['etc/xen/auto', 'srv/guests', 'opt/vmferry', 'var/log/xen/console'])
    await mkdir(join(root, name), { recursive: true });
  // Debian's script reads this name; the one in the file's comments has no effect.
  await appendFile(join(root, 'etc/default/xen'), 'XENCONSOLED_ARGS="--log=guest"\n');
  // A guest that is shut down with dom0 is halted, not saved: there is no room for its memory.
  await appendFile(join(root, 'etc/default/xendomains'), 'XENDOMAINS_SAVE=""\nXENDOMAINS_RESTORE=false\n');
  await appendFile(join(root, 'etc/xen/xl.conf'), 'autoballoon="off"\n');
}
