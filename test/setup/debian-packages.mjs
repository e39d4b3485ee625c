import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The programs that the tests and the demo call, and the Debian package that each comes from. */
export const packageByProgram = {
  'linux.uml': 'user-mode-linux',
  uml_mconsole: 'uml-utilities',
  uml_mkcow: 'uml-utilities',
  uml_moo: 'uml-utilities',
  sshd: 'openssh-server',
  'ssh-keygen': 'openssh-client',
  ssh: 'openssh-client',
  mke2fs: 'e2fsprogs',
  dumpe2fs: 'e2fsprogs',
  debugfs: 'e2fsprogs',
  e2fsck: 'e2fsprogs',
  busybox: 'busybox-static',
  ip: 'iproute2',
  'mkfs.xfs': 'xfsprogs',
  xfs_db: 'xfsprogs',
  xfs_repair: 'xfsprogs',
  'mkfs.btrfs': 'btrfs-progs',
  'systemd-analyze': 'systemd',
  'systemd-escape': 'systemd',
  systemctl: 'systemd',
  openssl: 'openssl',
  script: 'bsdutils',
  sfdisk: 'fdisk',
  sgdisk: 'gdisk',
  zstd: 'zstd',
  'qemu-img': 'qemu-utils',
  'qemu-io': 'qemu-utils',
  'qemu-storage-daemon': 'qemu-system-common',
  'mkfs.vfat': 'dosfstools',
  'fsck.fat': 'dosfstools',
  mcopy: 'mtools',
  lvm: 'lvm2',
  'ntfs-3g': 'ntfs-3g',
  mkntfs: 'ntfs-3g',
  ps: 'procps',
  modprobe: 'kmod',
  faketime: 'faketime',
  unshare: 'util-linux',
  ionice: 'util-linux',
  losetup: 'mount',
  tar: 'tar',
  bsdtar: 'libarchive-tools',
  bzip2: 'bzip2',
  lbzip2: 'lbzip2',
  pigz: 'pigz',
  // Kernels for guests, and the machines that boot them (test/rigs).
  'qemu-system-x86_64': 'qemu-system-x86',
  'qemu-ga': 'qemu-guest-agent',
  setpriv: 'util-linux',
  cpio: 'cpio',
  xz: 'xz-utils',
  depmod: 'kmod',
  mmdebstrap: 'mmdebstrap',
  // No service of libvirt-daemon-system: the tests start their own libvirt.
  libvirtd: 'libvirt-daemon',
  virsh: 'libvirt-clients',
  swtpm: 'swtpm',
  swtpm_setup: 'swtpm-tools',
  // Builds ssh2's fast ciphers, and the library that Debian's User Mode Linux needs on newer processors
  // (test/support/guests/uml-kernel.ts).
  'c++': 'g++',
  make: 'make',
  python3: 'python3',
};

/** The directories of mke2fs and sshd: not in an ordinary account's PATH. */
const systemDirectories = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/** The PATH given, with the directories of system programs at its end. */
export function withSystemDirectories(path) {
  const directories = (path ?? '/usr/local/bin:/usr/bin:/bin').split(delimiter);
  return [...directories, ...systemDirectories.filter((directory) => !directories.includes(directory))].join(
    delimiter,
  );
}

/** The packages with missing programs. */
export function missingPackages(path) {
  const programs = Object.keys(packageByProgram).filter((program) => !isUsable(program, path));
  return [...new Set(programs.map((program) => packageByProgram[program]))];
}

function isUsable(program, path) {
  const file = findProgram(program, path);
  // A guest with one program has no C library, so it needs the static busybox.
  if (program === 'busybox') return file !== null && isStatic(file);
  return file !== null;
}

function findProgram(program, path) {
  for (const directory of path.split(delimiter)) {
    const file = join(directory, program);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // not in this directory
    }
  }
  return null;
}

/** Whether an ELF program has no dynamic loader (its path would be at the beginning of the file). */
function isStatic(file) {
  return !readFileSync(file).subarray(0, 4096).includes('/ld-');
}
