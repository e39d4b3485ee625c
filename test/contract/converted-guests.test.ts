import { spawnSync } from 'node:child_process';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { convertDefinition } from '../../src/guest/conversion/convert.ts';
import type { GuestDefinition } from '../../src/guest/definition.ts';
import type { HypervisorKind } from '../../src/guest/definition-language.ts';
import { createDependencies } from '../../src/wiring.ts';
import { scratchDirectory } from '../support/images/images.ts';
import { describeUnless, toolsMissing } from '../support/programs/tools.ts';

const dependencies = createDependencies('1.2.3', { VMFERRY_STATE_DIR: '/nonexistent' });
const languages = await dependencies.loadLanguages();
let scratch: ReturnType<typeof scratchDirectory>;
let image: string;

beforeEach(() => {
  scratch = scratchDirectory();
  image = join(scratch.path, 'web, the image.img');
  writeFileSync(image, '');
  truncateSync(image, 2 ** 20);
});
afterEach(() => scratch[Symbol.dispose]());

/** Guests with a BIOS: the others need a kernel. */
const guests: Readonly<Record<'libvirt' | 'xen', Partial<GuestDefinition>>> = {
  libvirt: {
    disks: [
      { device: 'sda', path: '', readOnly: false, bus: 'sata', serial: 'abc' },
      { device: 'vda', path: '', readOnly: true, bus: 'virtio' },
    ],
    drives: [
      { device: 'sdb', kind: 'cdrom', bus: 'sata', path: null },
      { device: 'fda', kind: 'floppy', bus: 'fdc', path: null },
    ],
    machineType: 'pc-q35-7.2',
  },
  xen: {
    virtualization: 'hvm',
    disks: [
      { device: 'hda', path: '', readOnly: false, bus: 'ide' },
      { device: 'xvdb', path: '', readOnly: false, bus: 'xen' },
    ],
    drives: [{ device: 'hdc', kind: 'cdrom', bus: 'ide', path: null }],
  },
};

function guestOf(driver: 'libvirt' | 'xen'): GuestDefinition {
  const { disks = [], ...rest } = guests[driver];
  return {
    name: 'web',
    driver,
    memoryBytes: 64 * 2 ** 20,
    cpuCount: 1,
    kernel: null,
    initrd: null,
    boot: 'firmware',
    firmware: { kind: 'bios' },
    commandLine: [],
    networkCards: [
      { mac: '52:54:00:00:00:01', model: 'e1000', attachedTo: { kind: 'bridge', name: 'br0' } },
      { attachedTo: { kind: 'bridge', name: 'br1' } },
    ],
    uuid: '11111111-2222-3333-4444-555555555555',
    clock: 'localtime',
    ...rest,
    disks: disks.map((disk, index) => ({ ...disk, path: index === 0 ? image : `${image}.2` })),
  };
}

function converted(driver: 'libvirt' | 'xen', to: HypervisorKind): string {
  const user = { kind: 'user' } as const;
  const networks = new Map([
    ['eth0', user],
    ['eth1', user],
  ]);
  const { definition } = convertDefinition(guestOf(driver), { driver: to, choices: { networks } });
  return languages.find(({ kind }) => kind === to)?.write(definition) ?? '';
}

describeUnless(toolsMissing('qemu-system-x86_64'), 'what conversion writes for QEMU', () => {
  test.each(['libvirt', 'xen'] as const)('starts a guest of %s, to the last of its devices', (driver) => {
    writeFileSync(`${image}.2`, '');
    truncateSync(`${image}.2`, 2 ** 20);
    const line = converted(driver, 'qemu').trim().replace('-serial stdio', '-serial null');
    // Not even its first instruction runs: the machine is made, and ended by its monitor, which needs the terminal.
    const { status, stderr, stdout } = spawnSync('sh', ['-c', `exec ${line} -S -accel tcg -qmp stdio`], {
      encoding: 'utf8',
      input: '{"execute":"qmp_capabilities"}\n{"execute":"query-block"}\n{"execute":"quit"}\n',
      timeout: 60_000,
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout.split(JSON.stringify(image)).length).toBeGreaterThan(1);
  });
});
