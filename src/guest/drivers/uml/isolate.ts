import type { GuestDefinition } from '../../definition.ts';
import type { Isolation } from '../../guest-driver.ts';
import { splitArgument } from './command-line.ts';

/**
 * Arguments of a User Mode Linux kernel that reach out of the guest, by `linux --help` and the drivers in arch/um/drivers:
 * network devices, host directories, consoles on ports and terminals, sockets, sound, further disks, files as memory. For
 * some the first letters suffice.
 */
const reachesOut =
  /^(?:eth|vec\d|con\d*=|ssl\d*=|hostfs|mconsole|xterm|dsp|mixer|ubd|initrd|iomem|dtb|virtio[-_]uml|time-travel|umid|uml_dir)/;

/** See `GuestDriver.isolate`. A malicious guest can leave the empty directory: hostfs takes `..` (hostfs_fill_sb_common in fs/hostfs). */
export function isolateUml(
  definition: GuestDefinition,
  { name, copies, emptyDirectory }: Isolation,
): GuestDefinition {
  const disks = definition.disks.flatMap((disk, index) => {
    const path = copies[index];
    return path === undefined ? [] : [{ ...disk, path }];
  });
  // The kernel takes an argument with a space in it as several.
  const given = definition.commandLine.flatMap(splitArgument);
  const kept = given.filter((argument) => !reachesOut.test(argument.replaceAll('"', '')));
  const commandLine = [...kept, 'con=null', 'con0=null,fd:1', `hostfs=${emptyDirectory}`, 'noreboot'];
  return { ...definition, name, disks, commandLine };
}
