import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type {
  DiskDefinition,
  GuestDefinition,
  NetworkCard,
  RemovableDrive,
} from '../../../../../src/guest/definition.ts';
import { isGuestName, parseGuestDefinition } from '../../../../../src/guest/definition.ts';
import { qemuCommand } from '../../../../../src/guest/drivers/qemu/arguments/command.ts';
import { readQemuArguments } from '../../../../../src/guest/drivers/qemu/arguments/read.ts';
import { qemuLanguage } from '../../../../../src/guest/drivers/qemu/language.ts';

const optionally = <Key extends string, Value>(key: Key, value: fc.Arbitrary<Value>) =>
  fc
    .option(value, { nil: undefined })
    .map((one) => (one === undefined ? {} : { [key]: one })) as fc.Arbitrary<Partial<Record<Key, Value>>>;
const all = (...parts: readonly fc.Arbitrary<object>[]) =>
  fc.tuple(...parts).map((objects) => Object.assign({}, ...objects) as object);

/** With what trips careless readers: commas, equals signs, blanks, colons, quotes. */
const path = fc
  .string({ unit: fc.constantFrom(...'ab,= :"\'{}-./é'.split('')), minLength: 1, maxLength: 20 })
  .map((text) => `/srv/${text}`);
const mac = fc
  .array(fc.nat(255), { minLength: 5, maxLength: 5 })
  .map((bytes) => ['52', ...bytes.map((byte) => byte.toString(16).padStart(2, '0'))].join(':'));
const plainName = fc.stringMatching(/^[a-z][a-z0-9.+-]{0,10}$/);

const disk = (bus: 'virtio' | 'ide' | 'scsi') =>
  all(
    fc.record({ path, readOnly: fc.boolean(), bus: fc.constant(bus) }),
    optionally('format', fc.constantFrom('qcow2', 'vmdk', 'vdi', 'vpc', 'vhdx')),
    optionally('cache', fc.constantFrom('none', 'writeback', 'writethrough', 'directsync', 'unsafe')),
    optionally('serial', fc.stringMatching(/^[A-Za-z0-9_-]{1,20}$/)),
  ) as fc.Arbitrary<Omit<DiskDefinition, 'device'>>;

/** Disks in the order, and with the names, in which QEMU and Linux see them. */
const disks = fc
  .record({
    virtio: fc.array(disk('virtio'), { maxLength: 3 }),
    ide: fc.array(disk('ide'), { maxLength: 2 }),
    scsi: fc.array(disk('scsi'), { maxLength: 3 }),
    variables: fc.option(path, { nil: null }),
  })
  .map(({ virtio, ide, scsi, variables }): DiskDefinition[] => [
    ...virtio.map((one, index) => ({ device: `vd${'abc'.charAt(index)}`, ...one })),
    ...[...ide, ...scsi].map((one, index) => ({ device: `sd${'abcdefgh'.charAt(index)}`, ...one })),
    ...(variables === null
      ? []
      : [{ device: 'nvram', path: variables, readOnly: false, purpose: 'uefi-variables' as const }]),
  ]);

const drives = fc.array(fc.option(path, { nil: null }), { minLength: 1, maxLength: 2 }).map((paths) =>
  paths.map((one, index): RemovableDrive => ({
    device: `sr${index}`,
    kind: 'cdrom',
    bus: 'ide',
    path: one,
  })),
);

const cards = fc.uniqueArray(
  fc.record({
    mac,
    model: fc.constantFrom('virtio-net-pci', 'e1000', 'rtl8139'),
    attachedTo: fc.oneof(
      fc.record({ kind: fc.constant('user' as const) }),
      fc.record({ kind: fc.constantFrom('bridge' as const, 'tap' as const), name: plainName }),
    ),
  }) as fc.Arbitrary<NetworkCard>,
  { minLength: 1, maxLength: 3, selector: (card) => card.mac },
);

const word = fc.stringMatching(/^[a-z][a-z0-9_.,=/-]{0,12}$/).filter((text) => !text.startsWith('console='));
const boot = fc.oneof(
  all(
    fc.record({ kernel: path, initrd: fc.option(path, { nil: null }) }),
    fc
      .tuple(
        fc.array(word, { maxLength: 5 }),
        fc.option(fc.constantFrom('tty0', 'ttyS0', 'hvc0'), { nil: null }),
      )
      .map(([words, console]) =>
        console === null
          ? { commandLine: words }
          : { commandLine: [...words, `console=${console}`], console },
      ),
  ),
  fc
    .constantFrom(
      { boot: 'firmware', firmware: { kind: 'bios' } },
      { boot: 'firmware', firmware: { kind: 'uefi', code: '/usr/share/OVMF/CODE,1.fd' } },
    )
    .map((rest) => ({ ...rest, kernel: null, initrd: null, commandLine: [] })),
);

/** The machine q35 has SATA instead of IDE. */
function withoutIde(definition: GuestDefinition): GuestDefinition {
  if (definition.machineType !== 'q35') return definition;
  const moved = <One extends DiskDefinition | RemovableDrive>(one: One): One =>
    one.bus === 'ide' ? { ...one, bus: 'sata' } : one;
  const { disks: ofGuest, drives: ofDrives } = definition;
  return { ...definition, disks: ofGuest.map(moved), ...(ofDrives && { drives: ofDrives.map(moved) }) };
}

const definitions = all(
  fc.record({
    name: fc
      .string({ unit: fc.constantFrom(...'ab,= é:-'.split('')), minLength: 1, maxLength: 8 })
      .filter(isGuestName),
    driver: fc.constant('qemu'),
    memoryBytes: fc.option(fc.integer({ min: 1, max: 2 ** 40 }), { nil: null }),
    cpuCount: fc.option(fc.integer({ min: 1, max: 64 }), { nil: null }),
    disks,
  }),
  boot,
  optionally('drives', drives),
  optionally('networkCards', cards),
  optionally('clock', fc.constantFrom('utc', 'localtime')),
  optionally('machineType', fc.constantFrom('pc', 'q35', 'pc-i440fx-7.2')),
  optionally('cpuModel', plainName),
  optionally('uuid', fc.uuid()),
)
  // A kernel that is not named says nothing of its words.
  .map((definition) => parseGuestDefinition(definition))
  .map(withoutIde)
  .filter((definition) => new Set(definition.disks.map((one) => one.path)).size === definition.disks.length);

const read = (argv: readonly string[]) =>
  readQemuArguments({ argv, resolve: (one) => one, fallbackName: 'nameless' });
const withoutNative = ({ native: _native, ...rest }: GuestDefinition) => rest;

describe('arguments of QEMU', () => {
  test('a definition that is written is read again as it was, with nothing beyond it', () => {
    fc.assert(
      fc.property(definitions, (definition) => {
        const { program, args } = qemuCommand(definition);
        const again = read([program, ...args]);
        expect(again.problems).toEqual([]);
        expect(again.definition.native?.beyond).toEqual([]);
        expect(withoutNative(again.definition)).toEqual(definition);
      }),
      { numRuns: 200 },
    );
  });

  test('a text for a shell is read again as it was', () => {
    fc.assert(
      fc.property(definitions, (definition) => {
        const text = qemuLanguage.write(definition);
        expect(withoutNative(qemuLanguage.read(text, { name: 'x.sh', directory: '/' }).definition)).toEqual(
          definition,
        );
      }),
    );
  });

  test('only what differs is replaced in a guest’s own arguments', () => {
    fc.assert(
      fc.property(definitions, definitions, (before, wanted) => {
        const { program, args } = qemuCommand(before);
        const own = read([program, ...args, '-smbios', 'type=11,value=kept']).definition;
        const changed: GuestDefinition = {
          ...own,
          name: wanted.name,
          memoryBytes: wanted.memoryBytes,
          cpuCount: wanted.cpuCount,
          disks: own.disks.map((one, index) => ({ ...one, path: `/moved/${index},${wanted.name}` })),
          ...(own.networkCards && {
            networkCards: own.networkCards.map((card) => ({
              ...card,
              attachedTo: { kind: 'bridge', name: 'br9' },
            })),
          }),
          ...(own.kernel === null ? {} : { kernel: '/boot/other', initrd: wanted.initrd }),
        };
        const after = qemuCommand(changed);
        expect(after.args.slice(after.args.indexOf('-smbios'))[1]).toBe('type=11,value=kept');
        expect(withoutNative(read([after.program, ...after.args]).definition)).toEqual(
          withoutNative(changed),
        );
      }),
    );
  });

  test('the arguments of a guest that was not changed stay as they are', () => {
    fc.assert(
      fc.property(definitions, (definition) => {
        const { program, args } = qemuCommand(definition);
        const own = read([program, ...args]).definition;
        expect(qemuCommand(own)).toEqual({ program, args });
      }),
    );
  });

  test('a change that has no place in a guest’s own arguments is refused, and names the field', () => {
    const own = read(['qemu', '-hda', '/srv/a.img', '-nodefaults']).definition;
    expect(() => qemuCommand({ ...own, disks: [] })).toThrow(/disks/);
    expect(() => qemuCommand({ ...own, drives: [{ device: 'sr0', kind: 'cdrom', path: null }] })).toThrow(
      /drives/,
    );
  });

  test('the format of a disk is always named when it is started, so that QEMU does not guess it', () => {
    const own = read(['qemu', '-hda', '/srv/a.img', '-drive', 'file=/srv/b.qcow2', '-nodefaults']).definition;
    expect(qemuCommand(own).args).toEqual([
      '-drive',
      'file=/srv/a.img,format=raw,index=0,media=disk',
      '-drive',
      'file=/srv/b.qcow2,format=qcow2',
      '-nodefaults',
      '-name',
      'guest=a',
    ]);
  });

  test('whatever the arguments are, reading them gives an answer', () => {
    const options = [
      '-drive',
      '-device',
      '-blockdev',
      '-m',
      '-smp',
      '-name',
      '-net',
      '-nic',
      '-machine',
      '-hda',
      '-x',
    ];
    const values = [
      'file',
      'file=',
      'if=none,id=a',
      'driver=raw,node-name=a,file=a',
      'drive=a',
      'virtio-blk-pci,drive=a',
      '{}',
      '{"a":{"b":[1]}}',
      ',,',
      '=',
    ];
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.constantFrom(...options), fc.constantFrom(...values), fc.string())),
        (args) => {
          expect(read(['qemu', ...args]).definition.driver).toBe('qemu');
        },
      ),
      { numRuns: 500 },
    );
  });
});
