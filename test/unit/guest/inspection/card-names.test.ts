import { describe, expect, test } from '@jest/globals';
import {
  cardNameSources,
  findCardNames,
  findMacs,
  namedMacSources,
} from '../../../../src/guest/inspection/card-names.ts';

function namesIn(path: string, text: string): string[] {
  const directory = path.slice(0, path.lastIndexOf('/'));
  const name = path.slice(directory.length + 1);
  const source = cardNameSources.find((one) => one.directory === directory && one.file.test(name));
  return source === undefined ? [] : findCardNames(text, source.names);
}

describe('the network cards that a configuration names', () => {
  test.each([
    [
      '/etc/network/interfaces',
      'auto lo\niface lo inet loopback\nallow-hotplug eth0\niface eth0 inet dhcp\n',
      ['eth0'],
    ],
    [
      '/etc/network/interfaces',
      'auto br0 ens3\niface br0 inet static\n  bridge_ports ens3 ens4\n',
      ['ens3', 'ens4'],
    ],
    ['/etc/network/interfaces', '# iface eth9 inet dhcp\niface eth0:1 inet static\n', []],
    ['/etc/network/interfaces', 'auto enX0\niface enX0 inet dhcp\n', ['enX0']],
    ['/etc/network/interfaces.d/lan', 'iface enp0s3 inet dhcp', ['enp0s3']],
    [
      '/etc/systemd/network/20-lan.network',
      '[Match]\nName=enp1s0 eth1\n[Network]\nDHCP=yes\n',
      ['enp1s0', 'eth1'],
    ],
    ['/etc/systemd/network/20-any.network', '[Match]\nName=en*\n', []],
    ['/etc/sysconfig/network-scripts/ifcfg-eth0', 'DEVICE="eth0"\nONBOOT=yes\n', ['eth0']],
    [
      '/etc/netplan/01.yaml',
      'network:\n  version: 2\n  ethernets:\n    ens3:\n      dhcp4: true\n',
      ['ens3'],
    ],
    [
      '/etc/NetworkManager/system-connections/a.nmconnection',
      '[connection]\ninterface-name=enp0s3\n',
      ['enp0s3'],
    ],
  ])('in %s, of %j', (path, text, names) => {
    expect(namesIn(path, text)).toEqual(names);
  });
});

test.each([
  [
    'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="52:54:00:AA:00:01", NAME="eth0"\n',
    0,
    ['52:54:00:aa:00:01'],
  ],
  ['# SUBSYSTEM=="net", ATTR{address}=="52:54:00:aa:00:01", NAME="eth0"\n', 0, []],
  ['[Match]\nMACAddress=52:54:00:aa:00:02\n[Link]\nName=lan0\n', 1, ['52:54:00:aa:00:02']],
])('the MAC addresses that %j gives a name to', (text, source, macs) => {
  expect(findMacs(text, namedMacSources[source]?.macs ?? /$/g)).toEqual(macs);
});
