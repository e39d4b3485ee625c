import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { missingThings } from '../../../../../src/guest/drivers/libvirt/checks/named-things.ts';
import { scratchDirectory } from '../../../../support/images/images.ts';

let scratch: ReturnType<typeof scratchDirectory>;

beforeEach(() => {
  scratch = scratchDirectory();
});
afterEach(() => scratch[Symbol.dispose]());

const found = (devices: string, os = '') =>
  missingThings(
    `<domain type="kvm">\n<name>web</name>\n<os>${os}</os>\n<devices>\n${devices}</devices></domain>`,
    'web',
    scratch.path,
  ).map(({ message }) => /names (.*), which/.exec(message)?.[1]);

const pci = '<source><address domain="0x0000" bus="0x03" slot="0x1f" function="0x1"/></source>';
const usb = '<source><vendor id="0x1D6B"/><product id="0x0002"/></source>';
const scsi = '<adapter name="scsi_host2"/><address bus="0" target="3" unit="1"/>';
const cases: readonly [what: string, devices: string, make: (system: string) => void][] = [
  [
    'the SCSI device 2:0:3:1',
    `<hostdev mode="subsystem" type="scsi"><source>${scsi}</source></hostdev>`,
    (system) => mkdirSync(join(system, 'bus/scsi/devices/2:0:3:1'), { recursive: true }),
  ],
  [
    'the network device eno1',
    '<interface type="direct"><source dev="eno1" mode="bridge"/></interface>',
    (system) => mkdirSync(join(system, 'class/net/eno1'), { recursive: true }),
  ],
  [
    'the network device tap7',
    '<interface type="ethernet"><target dev="tap7" managed="no"/></interface>',
    (system) => mkdirSync(join(system, 'class/net/tap7'), { recursive: true }),
  ],
  [
    'the device 0000:03:1f.1',
    `<hostdev mode="subsystem" type="pci">${pci}</hostdev>`,
    (system) => mkdirSync(join(system, 'bus/pci/devices/0000:03:1f.1'), { recursive: true }),
  ],
  [
    'the device 0000:03:1f.1',
    `<interface type="hostdev">${pci}</interface>`,
    (system) => mkdirSync(join(system, 'bus/pci/devices/0000:03:1f.1'), { recursive: true }),
  ],
  [
    'the USB device 1d6b:0002',
    `<hostdev mode="subsystem" type="usb">${usb}</hostdev>`,
    (system) => {
      const device = join(system, 'bus/usb/devices/usb1');
      mkdirSync(device, { recursive: true });
      writeFileSync(join(device, 'idVendor'), '1d6b\n');
      writeFileSync(join(device, 'idProduct'), '0002\n');
    },
  ],
  [
    'the device 4dea22b3-1d52-4f3a-8a1c-0123456789ff',
    '<hostdev mode="subsystem" type="mdev"><source><address uuid="4dea22b3-1d52-4f3a-8a1c-0123456789ff"/></source></hostdev>',
    (system) =>
      mkdirSync(join(system, 'bus/mdev/devices/4dea22b3-1d52-4f3a-8a1c-0123456789ff'), { recursive: true }),
  ],
];

test.each(cases)('%s has to be there, and is found when it is', (what, devices, make) => {
  expect(found(devices)).toEqual([what]);
  make(scratch.path);
  expect(found(devices)).toEqual([]);
});

test.each([
  ['<filesystem type="mount"><source dir="PATH"/><target dir="share"/></filesystem>'],
  ['<serial type="dev"><source path="PATH"/></serial>'],
  ['<channel type="pipe"><source path="PATH"/></channel>'],
  ['<rng model="virtio"><backend model="random">PATH</backend></rng>'],
  ['<tpm model="tpm-tis"><backend type="passthrough"><device path="PATH"/></backend></tpm>'],
  ['<input type="evdev"><source dev="PATH"/></input>'],
  [
    '<filesystem type="mount"><driver type="virtiofs"/><source socket="PATH"/><target dir="share"/></filesystem>',
  ],
  ['<filesystem type="mount"><binary path="PATH"/><source dir="/"/><target dir="share"/></filesystem>'],
  ['<interface type="network"><source network="default"/><rom file="PATH"/></interface>'],
  ['<interface type="vhostuser"><source type="unix" path="PATH" mode="client"/></interface>'],
  ['<channel type="unix"><source mode="connect" path="PATH"/></channel>'],
  ['<redirdev bus="usb" type="unix"><source mode="connect" path="PATH"/></redirdev>'],
  ['<memory model="nvdimm"><source><path>PATH</path></source></memory>'],
  ['<shmem name="shared"><server path="PATH"/></shmem>'],
  ['<graphics type="egl-headless"><gl rendernode="PATH"/></graphics>'],
])('a path has to be there: %s', (devices) => {
  const path = join(scratch.path, 'named');
  expect(found(devices.replace('PATH', path))).toEqual([path]);
  mkdirSync(path);
  expect(found(devices.replace('PATH', path))).toEqual([]);
});

test('a pipe may be there as its two ends', () => {
  const path = join(scratch.path, 'pipe');
  mkdirSync(`${path}.in`);
  expect(found(`<channel type="pipe"><source path="${path}"/></channel>`)).toEqual([]);
});

test('the tables and the device tree that the firmware gets have to be there', () => {
  expect(found('', '<dtb>/nowhere/tree</dtb><acpi><table type="slic">/nowhere/slic</table></acpi>')).toEqual([
    '/nowhere/tree',
    '/nowhere/slic',
  ]);
});

test('the firmware has to be there, unless the definition carries its path', () => {
  expect(found('', '<loader type="rom">/nowhere/bios</loader>')).toEqual(['/nowhere/bios']);
  expect(found('', '<loader type="pflash" readonly="yes">/nowhere/OVMF_CODE.fd</loader>')).toEqual([]);
});

test('what libvirt and QEMU make themselves need not be there', () => {
  const made = [
    `<serial type="file"><source path="${join(scratch.path, 'log')}"/></serial>`,
    '<channel type="unix"><source mode="bind" path="/nowhere/agent.sock"/></channel>',
    '<interface type="ethernet"><target dev="tap7"/></interface>',
    '<interface type="bridge"><source bridge="br7"/><target dev="vnet7" managed="no"/></interface>',
    '<rng model="virtio"><backend model="builtin"/></rng>',
    `<hostdev mode="subsystem" type="usb">${usb.replace('<source', '<source startupPolicy="optional"')}</hostdev>`,
  ];
  expect(found(made.join('\n'))).toEqual([]);
  expect(found('<serial type="file"><source path="/nowhere/log"/></serial>')).toEqual(['/nowhere']);
});
