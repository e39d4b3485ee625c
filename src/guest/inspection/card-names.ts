/* Where distributions keep the names of network cards. Texts of files in the guest, in no particular form: what is not understood is left out. */

/** Kernel's and udev's names of hardware cards: systemd.net-naming-scheme(7). Bridges, bonds, tunnels are made by the guest. */
const hardware = /^(?:eth\d+|en[opsxPX][A-Za-z0-9]+|ens\d+|venet\d+|lan\d*|wan\d*|net\d+)$/;

/** Files to read, and how to find names in them. */
export const cardNameSources: readonly { directory: string; file: RegExp; names: RegExp }[] = [
  // ifupdown: interfaces(5)
  {
    directory: '/etc/network',
    file: /^interfaces$/,
    names: /^[ \t]*(?:iface|auto|allow-\S+|bridge_ports|bond-slaves|slaves)[ \t]+(.+)$/gm,
  },
  {
    directory: '/etc/network/interfaces.d',
    file: /^[\w.-]+$/,
    names: /^[ \t]*(?:iface|auto|allow-\S+|bridge_ports|bond-slaves|slaves)[ \t]+(.+)$/gm,
  },
  // systemd.network(5)
  { directory: '/etc/systemd/network', file: /\.network$/, names: /^[ \t]*Name=(.+)$/gm },
  // Red Hat and SUSE
  { directory: '/etc/sysconfig/network-scripts', file: /^ifcfg-/, names: /^[ \t]*DEVICE=["']?([^"'\s]+)/gm },
  // netplan(5): the keys below "ethernets"
  { directory: '/etc/netplan', file: /\.ya?ml$/, names: /^[ \t]+["']?([A-Za-z0-9]+)["']?:[ \t]*$/gm },
  // NetworkManager: nm-settings-keyfile(5)
  {
    directory: '/etc/NetworkManager/system-connections',
    file: /^[\w.-]+$/,
    names: /^interface-name=(\S+)$/gm,
  },
];

/** The names of hardware cards that the pattern finds, in the order of the text. */
export function findCardNames(text: string, names: RegExp): string[] {
  const words = [...text.matchAll(names)].flatMap(([, found = '']) => found.trim().split(/\s+/));
  return [...new Set(words.filter((word) => hardware.test(word)))];
}

/** Files that name cards by MAC address: udev(7), systemd.link(5). */
export const namedMacSources: readonly { directory: string; file: RegExp; macs: RegExp }[] = [
  {
    directory: '/etc/udev/rules.d',
    file: /net.*\.rules$/,
    macs: /^[^#\n]*ATTRS?\{address\}=="([0-9A-Fa-f:]{17})"[^\n]*NAME="/gm,
  },
  {
    directory: '/etc/systemd/network',
    file: /\.link$/,
    macs: /^[ \t]*(?:Permanent)?MACAddress=([0-9A-Fa-f:]{17})/gm,
  },
];

/** In lower case. */
export function findMacs(text: string, macs: RegExp): string[] {
  return [...text.matchAll(macs)].map(([, mac = '']) => mac.toLowerCase());
}
