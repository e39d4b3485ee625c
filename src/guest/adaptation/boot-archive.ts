import { newcArchive } from '../initrd/newc-archive.ts';
import type { CardName } from './card-names.ts';
import { linkFile, linkFileName } from './card-names.ts';
import type { DiskRename } from './disk-names.ts';

/** What an initial RAM disk does before the guest's own programs run. Nothing of it is on a disk. */
export interface BootWork {
  /** Disks that udev also gives their former names, with all their partitions. */
  disks: readonly DiskRename[];
  /** Former names that are put into /dev: disks and partitions, letters, digits and slashes only. */
  links: readonly DiskRename[];
  cards: readonly CardName[];
}

/** The kernel's argument that starts the work. The work starts `/init` of the initial RAM disk in the end. */
export const startsBootWork = 'rdinit=/vmferry/init';

export function isBootWorkEmpty({ disks, links, cards }: BootWork): boolean {
  return disks.length === 0 && links.length === 0 && cards.length === 0;
}

/** An archive to append to an initial RAM disk: its length must be a multiple of 4 before. */
export function bootArchive(work: BootWork): Uint8Array {
  return newcArchive([
    { path: 'vmferry', content: 'directory' },
    { path: 'vmferry/init', content: Buffer.from(bootScript(work)), isExecutable: true },
  ]);
}

/**
 * The script uses only what each shell of an initial RAM disk has: klibc, dash, bash, busybox.
 * - Links in /dev are made at once, for guests without udev: all mounts of devtmpfs show the same files.
 * - udev makes them, too: systemd waits for a disk until udev has told it that name. udev's files are in /run. dracut and most others
 *   keep a /run that is mounted already. initramfs-tools mounts its own, then runs the scripts that
 *   /scripts/init-top/ORDER names; udev is the last of them. All hand /run over to the guest.
 * No failure stops the boot.
 */
function bootScript({ disks, links, cards }: BootWork): string {
  const lines = [
    '#!/bin/sh',
    '# Written by vmferry: former names of disks, and names of network cards. No disk is changed.',
    'files() {',
    '  mkdir -p /run/udev/rules.d /run/systemd/network',
    ...writeLines('/run/udev/rules.d/61-vmferry.rules', disks.flatMap(udevRules)),
    ...cards.flatMap((card) =>
      writeLines(`/run/systemd/network/${linkFileName(card)}`, linesOf(linkFile(card))),
    ),
    '}',
    'if [ "$1" = files ]; then',
    '  files',
    '  exit',
    'fi',
    'mount -t devtmpfs dev /dev',
    ...links.flatMap(({ from, to }) => [
      ...(from.includes('/') ? [`mkdir -p /dev/${from.slice(0, from.lastIndexOf('/'))}`] : []),
      `ln -s /dev/${to} /dev/${from}`,
    ]),
    'umount /dev',
    'order=/scripts/init-top/ORDER',
    'if [ -f $order ]; then',
    '  { echo "/vmferry/init files"; cat $order; } >/vmferry/order',
    '  mv /vmferry/order $order',
    'else',
    '  mkdir -p /run',
    '  mount -t tmpfs -o mode=0755,nosuid,nodev run /run',
    '  files',
    'fi',
    'exec /init "$@"',
    '',
  ];
  return lines.join('\n');
}

/** None of the lines may hold a single quote or a backslash. */
function writeLines(path: string, lines: readonly string[]): string[] {
  if (lines.length === 0) return [];
  return ['  {', ...lines.map((line) => `    echo '${line}'`), `  } >${path}`];
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

/** For the disk, and for its partitions. */
function udevRules({ from, to }: DiskRename): string[] {
  const partitions = /\d$/.test(to) ? `${to}p[0-9]*` : `${to}[0-9]*`;
  const separator = /\d$/.test(from) ? 'p' : '';
  return [
    `SUBSYSTEM=="block", KERNEL=="${to}", SYMLINK+="${from}"`,
    // A link to a single partition never has partitions: this rule then applies to none.
    `SUBSYSTEM=="block", KERNEL=="${partitions}", ENV{DEVTYPE}=="partition", SYMLINK+="${from}${separator}%n"`,
  ];
}
