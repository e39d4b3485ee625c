import { aptSources } from '../base/apt-sources.ts';
import { succeed } from '../base/command.ts';

/** The release of Debian that dom0 is made of; the names below belong to it. */
const release = 'bookworm';
const hypervisorPackage = 'xen-hypervisor-4.17-amd64';
const packages = [
  hypervisorPackage,
  'xen-utils-4.17',
  // The back end of disks in other formats than raw, and the programs that vmferry looks into them with.
  'qemu-system-xen',
  'qemu-utils',
  'qemu-system-common',
  'fuse3',
  'sysvinit-core',
  'openssh-server',
  'bridge-utils',
  'iproute2',
  'kmod',
  'procps',
  'e2fsprogs',
  'busybox-static',
  'zstd',
  // Node's own
  'libstdc++6',
];
/** No person reads in dom0, and no guest there has a screen or boots from the network. */
const leftOut = ['doc', 'man', 'locale', 'info', 'lintian', 'bash-completion', 'i18n', 'zoneinfo'];

/** What a build of dom0 depends on: the versions of the packages that make Xen, as far as apt knows them here. */
export async function dom0PackageVersions(): Promise<string> {
  const names = [hypervisorPackage, 'xen-utils-4.17', 'qemu-system-xen'];
  const text = await succeed('apt-cache', ['show', '--no-all-versions', ...names]).catch(() => '');
  return [...text.matchAll(/^(?:Package|Version): .*$/gm)].map(([line]) => line).join('\n');
}

/** Installs dom0's packages into a new directory. Needs root. */
export async function installDom0Packages(directory: string): Promise<void> {
  const sources = await aptSources(release);
  const policy = `printf '#!/bin/sh\\nexit 101\\n' >"$1/usr/sbin/policy-rc.d"; chmod +x "$1/usr/sbin/policy-rc.d"`;
  await succeed('mmdebstrap', [
    '--quiet',
    '--variant=minbase',
    '--mode=root',
    '--format=directory',
    `--include=${packages.join(',')}`,
    '--aptopt=Acquire::Check-Valid-Until "false"',
    '--aptopt=Acquire::Languages "none"',
    ...leftOut.map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`),
    // No service may start in the new directory.
    `--essential-hook=mkdir -p "$1/usr/sbin"; ${policy}`,
    '--customize-hook=rm "$1/usr/sbin/policy-rc.d"',
    release,
    directory,
    ...sources,
  ]);
}
