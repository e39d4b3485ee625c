/** A network card must keep its name: the guest's configuration uses it. */
export interface CardName {
  /** Lower case, joined by colons. Null for the only card of a guest: its hypervisor chooses the address. */
  mac: string | null;
  /** The kernel's name for it: `eth0`. */
  name: string;
}

/** Linux' drivers for the cards that hypervisors give to guests. Bridges and the like have others, or none. */
const cardDrivers = [
  'virtio_net',
  'vif',
  'e1000',
  'e1000e',
  '8139cp',
  '8139too',
  'pcnet32',
  'ne2k-pci',
  'vmxnet3',
  'uml-netdev',
  'uml-vector',
];

/** Whether the name can stand in the files below. Linux allows 15 characters. */
export function isCardName(name: string): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$/.test(name);
}

/** A file for systemd's udev: systemd.link(5). */
export function linkFile({ mac, name }: CardName): string {
  return [
    '# vmferry: the network card keeps the name that this system uses',
    '[Match]',
    mac === null ? `Driver=${cardDrivers.join(' ')}` : `MACAddress=${mac}`,
    '[Link]',
    `Name=${name}`,
    '',
  ].join('\n');
}

/** The same for a udev without .link files (before systemd 197). */
export function cardRule({ mac, name }: CardName): string {
  const match = mac === null ? `DRIVERS=="${cardDrivers.join('|')}"` : `ATTR{address}=="${mac}"`;
  return `SUBSYSTEM=="net", ACTION=="add", ${match}, NAME="${name}"\n`;
}

/** Comes before the distribution's files (99-default.link, 73-usb-net-by-mac.link). */
export function linkFileName({ name }: CardName): string {
  return `10-vmferry-${name}.link`;
}
