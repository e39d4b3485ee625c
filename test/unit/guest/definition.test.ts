import { describe, expect, test } from '@jest/globals';
import { Failure } from '../../../src/failure.ts';
import { isGuestName, parseGuestDefinition, type GuestDefinition } from '../../../src/guest/definition.ts';

const whole: GuestDefinition = {
  name: 'web',
  driver: 'uml',
  memoryBytes: 134_217_728,
  cpuCount: 2,
  kernel: '/usr/bin/linux.uml',
  initrd: null,
  disks: [
    { device: 'ubd0', path: '/srv/web.img', readOnly: false },
    { device: 'ubd1', path: '/srv/data.img', readOnly: true, flags: 's', serial: 'DATA1' },
  ],
  commandLine: ['root=/dev/ubda', 'con0=null,fd:1'],
};

/** A guest with every field that there is. */
const detailed: GuestDefinition = {
  name: 'shop',
  driver: 'libvirt',
  memoryBytes: 536_870_912,
  cpuCount: 1,
  kernel: null,
  initrd: null,
  disks: [
    {
      device: 'vda',
      path: '/srv/shop.qcow2',
      readOnly: false,
      format: 'qcow2',
      bus: 'virtio',
      cache: 'none',
    },
    { device: 'flash1', path: '/srv/shop_VARS.fd', readOnly: false, purpose: 'uefi-variables' },
  ],
  commandLine: [],
  boot: 'firmware',
  firmware: { kind: 'uefi', code: '/usr/share/OVMF/OVMF_CODE.fd' },
  drives: [{ device: 'sda', kind: 'cdrom', bus: 'sata', path: null }],
  networkCards: [
    { mac: '52:54:00:12:34:56', model: 'virtio-net-pci', attachedTo: { kind: 'bridge', name: 'br0' } },
    { attachedTo: { kind: 'user' } },
  ],
  console: 'ttyS0',
  clock: 'utc',
  machineType: 'pc-q35-7.2',
  cpuModel: 'host-passthrough',
  uuid: '4dea22b3-1d52-4f3a-8a1c-0123456789ab',
  virtualization: 'hvm',
  autostart: true,
  native: { text: '<domain/>', beyond: ['line 3: <hugepages/>'] },
};

describe('isGuestName', () => {
  test.each(['web', 'Web-2.example_x', 'my disk.img', 'über', 'a', 'a'.repeat(200), '~x', '日本'])(
    '%j is a guest name',
    (name) => {
      expect(isGuestName(name)).toBe(true);
    },
  );

  test.each([
    '',
    '.',
    '..',
    '.hidden',
    '-rf',
    'a/b',
    '/',
    'a\0b',
    'a\nb',
    'a\u001B[31m',
    'a\u202Eb',
    ' a',
    'a ',
    'a'.repeat(201),
    'ü'.repeat(101),
    '\uD800',
  ])('%j is no guest name', (name) => {
    expect(isGuestName(name)).toBe(false);
  });
});

describe('a definition', () => {
  test.each([whole, detailed])('survives a round trip through JSON', (definition) => {
    expect(parseGuestDefinition(JSON.parse(JSON.stringify(definition)))).toEqual(definition);
  });

  test.each<[string, unknown, RegExp]>([
    ['is no object', 'web', /as a whole/],
    ['is null', null, /as a whole/],
    ['has an unknown field', { ...whole, cpus: 1 }, /cpus/],
    ['lacks a field', { ...whole, initrd: undefined }, /initrd/],
    ['has a name with a slash', { ...whole, name: '../web' }, /name: is not a guest name/],
    ['has an unknown driver', { ...whole, driver: 'vmware' }, /driver/],
    [
      'has a relative disk',
      { ...whole, disks: [{ ...whole.disks[0], path: 'web.img' }] },
      /disks\.0\.path: is not an absolute path/,
    ],
    [
      'has a disk with odd flags',
      { ...whole, disks: [{ ...whole.disks[0], flags: '=x' }] },
      /disks\.0\.flags/,
    ],
    ['has a negative memory', { ...whole, memoryBytes: -1 }, /memoryBytes/],
    ['has a part of a processor', { ...whole, cpuCount: 1.5 }, /cpuCount/],
    ['has an unknown bus', { ...whole, disks: [{ ...whole.disks[0], bus: 'nvme2' }] }, /disks\.0\.bus/],
    [
      'has a MAC that is none',
      { ...whole, networkCards: [{ ...detailed.networkCards?.[0], mac: '52' }] },
      /mac/,
    ],
    [
      'has a bridge named like an option',
      { ...whole, networkCards: [{ attachedTo: { kind: 'bridge', name: '-x' } }] },
      /networkCards\.0/,
    ],
    ['has a NUL in its command line', { ...whole, commandLine: ['a\0b'] }, /commandLine\.0: holds a NUL/],
  ])('that %s is refused', (_, json, message) => {
    let thrown: unknown;
    try {
      parseGuestDefinition(json);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(Failure);
    expect(thrown).toMatchObject({ code: 'guest-unsupported', message: expect.stringMatching(message) });
  });
});
