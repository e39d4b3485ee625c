import fc from 'fast-check';
import type { HypervisorKind } from '../../../src/guest/definition-language.ts';
import {
  qemuFormats,
  type DiskBus,
  type DiskDefinition,
  type GuestDefinition,
  type NetworkCard,
  type RemovableDrive,
} from '../../../src/guest/definition.ts';

export const hypervisorKinds: readonly HypervisorKind[] = ['uml', 'qemu', 'libvirt', 'xen'];

const hex = (digits: number) =>
  fc
    .array(fc.integer({ min: 0, max: 15 }), { minLength: digits, maxLength: digits })
    .map((all) => all.map((digit) => digit.toString(16)).join(''));
const mac = hex(10).map((digits) => `52:${digits.match(/../g)?.join(':')}`);
const uuid = hex(32).map((all) => all.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'));
const word = fc.stringMatching(/^[a-z][a-z0-9]{2,8}$/);
const path = fc.array(word, { minLength: 1, maxLength: 3 }).map((words) => `/${words.join('/')}.img`);
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });

/** Leaves out the fields that are undefined. */
function present<T extends object>(fields: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

const busesOf: Readonly<Record<HypervisorKind, readonly (DiskBus | undefined)[]>> = {
  uml: [undefined],
  qemu: ['virtio', 'ide', 'scsi', 'sata'],
  libvirt: ['virtio', 'ide', 'scsi', 'sata', 'usb'],
  xen: ['xen'],
};
const slotOf = {
  virtio: 'vd',
  ide: 'hd',
  scsi: 'sd',
  sata: 'sd',
  usb: 'sd',
  xen: 'xvd',
  sd: 'sd',
  fdc: 'fd',
};

function disk(kind: HypervisorKind, index: number): fc.Arbitrary<DiskDefinition> {
  const isQemu = kind === 'qemu' || kind === 'libvirt';
  return fc
    .record({
      bus: fc.constantFrom(...busesOf[kind]),
      path,
      readOnly: fc.boolean(),
      flags: kind === 'uml' ? optional(fc.constantFrom('s', 'd', 'sc', 't')) : fc.constant(undefined),
      serial: kind === 'xen' ? fc.constant(undefined) : optional(word),
      format: kind === 'uml' ? fc.constant(undefined) : optional(fc.constantFrom(...qemuFormats.slice(1))),
      cache: isQemu ? optional(fc.constantFrom('none', 'writethrough', 'unsafe')) : fc.constant(undefined),
      isPartition: fc.boolean(),
    })
    .map(({ isPartition, ...fields }) => {
      const letter = String.fromCodePoint(97 + index);
      const partition = kind === 'xen' && isPartition ? '1' : '';
      const device = fields.bus === undefined ? `ubd${index}` : `${slotOf[fields.bus]}${letter}${partition}`;
      return present<DiskDefinition>({ ...fields, device, purpose: undefined });
    });
}

/** As the guest sees them: on each bus, the slots are used from the first on. */
function inOrder(disks: readonly DiskDefinition[]): DiskDefinition[] {
  return disks.map((one, index) => {
    const prefix = one.device.replace(/[a-c]?\d?$/, '');
    if (prefix === 'ubd') return one;
    const before = disks.slice(0, index).filter(({ device }) => device.startsWith(prefix)).length;
    const partition = /\d$/.exec(one.device)?.[0] ?? '';
    return { ...one, device: `${prefix}${String.fromCodePoint(97 + before)}${partition}` };
  });
}

function card(kind: HypervisorKind): fc.Arbitrary<NetworkCard> {
  const named = fc.record({
    kind: fc.constantFrom<'bridge' | 'network' | 'tap'>(
      ...(kind === 'xen' ? (['bridge'] as const) : (['bridge', 'network', 'tap'] as const)),
    ),
    name: word,
  });
  return fc
    .record({
      mac: optional(mac),
      model: optional(
        kind === 'xen'
          ? fc.constantFrom('vif', 'e1000', 'rtl8139')
          : fc.constantFrom('virtio-net-pci', 'e1000', 'rtl8139'),
      ),
      attachedTo: fc.oneof(
        named,
        fc.record({
          kind:
            kind === 'xen'
              ? fc.constant('other' as const)
              : fc.constantFrom('user' as const, 'other' as const),
        }),
      ),
    })
    .map((fields) => present<NetworkCard>(fields));
}

const drive = (index: number): fc.Arbitrary<RemovableDrive> =>
  fc.record({
    device: fc.constant(index === 0 ? 'hdc' : 'fda'),
    kind: fc.constant(index === 0 ? ('cdrom' as const) : ('floppy' as const)),
    bus: fc.constant(index === 0 ? ('ide' as const) : ('fdc' as const)),
    path: fc.option(path),
  });

const umlArgument = fc.oneof(
  mac.map((one) => `eth0=tuntap,tap0,${one}`),
  mac.map((one) => `eth1=tuntap,,${one},192.0.2.1`),
  mac.map((one) => `eth2=slirp,${one}`),
  mac.map((one) => `eth3=daemon,${one},unix,/run/uml/switch`),
  mac.map((one) => `vec0:transport=tap,ifname=tap7,depth=128,mac=${one}`),
  fc.constantFrom(
    'con=null',
    'con0=fd:0,fd:1',
    'con1=pts',
    'ssl0=port:9000',
    'hostfs=/srv',
    'mconsole=notify:/run/m',
  ),
);
const kernelArgument = fc.oneof(
  fc.constantFrom('quiet', 'rw', 'ro', 'single', 'init=/bin/sh', 'mem=32M', 'panic=10', 'console=tty0'),
  fc.constantFrom('console=ttyS0,115200', 'console=hvc0', 'root=UUID=1234-5678', 'root=803'),
  word.map((one) => `x.${one}=${one}`),
);

/** A guest as one of the hypervisor's could be. */
export function definitionOf(kind: HypervisorKind): fc.Arbitrary<GuestDefinition> {
  const disks = fc
    .integer({ min: 1, max: 3 })
    .chain((count) => fc.tuple(...Array.from({ length: count }, (_, index) => disk(kind, index))));
  const isUml = kind === 'uml';
  const isQemu = kind === 'qemu' || kind === 'libvirt';
  const none = fc.constant(undefined);
  return fc
    .record({
      name: word,
      memoryBytes: fc.option(fc.integer({ min: 1, max: 4096 }).map((mib) => mib * 2 ** 20)),
      cpuCount: fc.option(fc.integer({ min: 1, max: 64 })),
      disks,
      kernel: fc.option(path),
      initrd: fc.option(path),
      root: fc.constantFrom('', '1', '2'),
      commandLine: fc.uniqueArray(isUml ? fc.oneof(umlArgument, kernelArgument) : kernelArgument, {
        maxLength: 6,
        selector: (argument) => argument.split(/[=:]/)[0],
      }),
      boot: isUml
        ? none
        : optional(fc.constantFrom('firmware', ...(kind === 'xen' ? ['boot-loader' as const] : []))),
      uefi: optional(fc.option(path)),
      variables: path,
      drives: isUml ? none : optional(fc.tuple(drive(0), drive(1))),
      networkCards: isUml ? none : optional(fc.array(card(kind), { minLength: 1, maxLength: 3 })),
      console: isUml ? none : fc.constantFrom('tty0', 'ttyS0', 'hvc0', undefined),
      clock: isUml ? none : fc.constantFrom('utc', 'localtime', undefined),
      machineType: isQemu ? optional(word) : none,
      cpuModel: isQemu ? optional(word) : none,
      uuid: isUml ? none : optional(uuid),
      autostart: isUml ? none : optional(fc.boolean()),
      beyond: isUml
        ? none
        : optional(
            fc.array(
              word.map((one) => `line 1: ${one}`),
              { minLength: 1, maxLength: 2 },
            ),
          ),
    })
    .map(({ root, boot, uefi, variables, beyond, ...given }) => {
      const fields = { ...given, disks: inOrder(given.disks) };
      const [first] = fields.disks;
      const rootName = first?.device.replace(/^ubd0$/, 'ubda').replace(/^hda$/, 'sda') ?? '';
      const hasKernel = boot === undefined;
      const isUefi = boot === 'firmware' && uefi !== undefined;
      return present<GuestDefinition>({
        ...fields,
        driver: kind,
        ...(hasKernel ? {} : { kernel: null, initrd: null }),
        disks: [
          ...fields.disks,
          ...(isUefi
            ? [{ device: 'pflash1', path: variables, readOnly: false, purpose: 'uefi-variables' as const }]
            : []),
        ],
        commandLine: hasKernel
          ? [`root=/dev/${rootName}${/\d$/.test(rootName) ? '' : root}`, ...fields.commandLine]
          : [],
        boot,
        firmware: isUefi ? { kind: 'uefi', code: uefi } : boot === 'firmware' ? { kind: 'bios' } : undefined,
        virtualization: kind === 'xen' ? (boot === 'firmware' ? 'hvm' : 'pv') : undefined,
        native: beyond === undefined ? undefined : { text: 'text', beyond },
      });
    });
}
