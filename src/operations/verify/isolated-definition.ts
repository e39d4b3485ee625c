import type { GuestDefinition } from '../../guest/definition.ts';
import { splitArgument } from '../../guest/drivers/uml/command-line.ts';

/**
 * What of a User Mode Linux command line reaches out of the guest, by `linux --help` and the drivers in arch/um/drivers:
 * network devices, host directories, consoles on ports and terminals, sockets, sound, further disks, files as memory. Some
 * are known by their first letters alone.
 */
const reachesOut =
  /^(?:eth|vec\d|con\d*=|ssl\d*=|hostfs|mconsole|xterm|dsp|mixer|ubd|initrd|iomem|dtb|virtio[-_]uml|time-travel|umid|uml_dir)/;

/** Where a copy of a guest is to be booted. */
export interface Isolation {
  /** The name that the copy runs under. */
  name: string;
  /** Of the original's disks, in their order: the copies. Disks that have none are left out. */
  copies: readonly (string | undefined)[];
  /** The one directory of this machine that the guest could mount: an empty one. */
  emptyDirectory: string;
}

/**
 * The guest as a copy that touches nothing but its copied disks, and does not start again by itself. It holds a guest that
 * does what it always did; one that means harm it does not: hostfs takes `..` (hostfs_fill_sb_common in fs/hostfs).
 */
export function isolatedDefinition(
  definition: GuestDefinition,
  { name, copies, emptyDirectory }: Isolation,
): GuestDefinition {
  const disks = definition.disks.flatMap((disk, index) => {
    const path = copies[index];
    return path === undefined ? [] : [{ ...disk, path }];
  });
  // As the kernel splits it: an argument with a space in it is several.
  const given = definition.commandLine.flatMap(splitArgument);
  const kept = given.filter((argument) => !reachesOut.test(argument.replaceAll('"', '')));
  const commandLine = [...kept, 'con=null', 'con0=null,fd:1', `hostfs=${emptyDirectory}`, 'noreboot'];
  return { ...definition, name, disks, commandLine };
}
