import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  diskChanges,
  diskFate,
  diskNames,
  type DiskChanges,
} from '../../../../src/guest/adaptation/disk-names.ts';
import { convertDefinition } from '../../../../src/guest/conversion/convert.ts';
import { definitionOf, hypervisorKinds } from '../../../support/guests/definitions.ts';
import { guestWithDisks } from './definitions.ts';

describe('names of disks in the guest', () => {
  test.each([
    ['uml', ['ubd0', 'ubdb'], [['ubda', 'ubd0', 'ubd/0'], ['ubdb']]],
    ['qemu', ['vda', 'vdb'], [['vda'], ['vdb']]],
    [
      'libvirt',
      ['hda', 'hdb'],
      [
        ['sda', 'hda'],
        ['sdb', 'hdb'],
      ],
    ],
    ['xen', ['xvda1', 'sda'], [['xvda1'], ['xvda', 'sda']]],
  ] as const)('under %s, the slots %j', (driver, devices, names) => {
    expect(diskNames(guestWithDisks(driver, devices))).toEqual(names);
  });

  test('the variables of the firmware are no disk', () => {
    const guest = guestWithDisks('qemu', ['vda', 'pflash1']);
    const disks = guest.disks.map((disk, index) =>
      index === 1 ? { ...disk, purpose: 'uefi-variables' as const } : disk,
    );
    expect(diskNames({ ...guest, disks })).toEqual([['vda'], []]);
  });

  test('the 27th disk of User Mode Linux is ubdaa', () => {
    expect(diskNames(guestWithDisks('uml', ['ubd26']))[0]?.[0]).toBe('ubdaa');
  });
});

describe.each(hypervisorKinds)('a guest of %s', (from) => {
  test.each(hypervisorKinds.filter((kind) => kind !== from))(
    'finds each disk and each partition in its place again as a guest of %s',
    (to) => {
      fc.assert(
        fc.property(definitionOf(from), fc.integer({ min: 1, max: 99 }), (before, number) => {
          const { definition, disks } = convertDefinition(before, { driver: to, choices: {} });
          const newIndexes = disks.map((disk) => (disk === null ? null : definition.disks.indexOf(disk)));
          const changes = diskChanges(before, definition, newIndexes);
          const newNames = diskNames(definition);
          for (const [index, names] of diskNames(before).entries())
            for (const name of names) {
              const [now = ''] = newNames[newIndexes[index] ?? -1] ?? [];
              expect(nameNow(name, changes)).toBe(now);
              // A name that ends in a digit is of a partition, or of an old kernel.
              if (/[a-z]$/.test(name)) expect(nameNow(`${name}${number}`, changes)).toBe(`${now}${number}`);
            }
        }),
      );
    },
  );
});

function nameNow(name: string, changes: DiskChanges): string | null {
  const fate = diskFate(name, changes);
  return fate.kind === 'renamed' ? fate.name : fate.kind === 'same' ? name : null;
}

test('the name of a disk that stays behind is not that of the disk that gets it', () => {
  const before = guestWithDisks('qemu', ['vda', 'vdb']);
  const changes = diskChanges(before, guestWithDisks('qemu', ['vda']), [null, 0]);
  expect(diskFate('vda1', changes)).toEqual({ kind: 'absent' });
  expect(diskFate('vdb1', changes)).toEqual({ kind: 'renamed', name: 'vda1' });
});

describe('what becomes of a name', () => {
  const toQemu = diskChanges(guestWithDisks('uml', ['ubd0', 'ubd1']), guestWithDisks('qemu', ['vda', 'vdb']));

  test.each([
    ['ubda', 'vda'],
    ['ubdb', 'vdb'],
    ['ubda1', 'vda1'],
    ['ubdb12', 'vdb12'],
    ['ubd0', 'vda'],
    ['ubd/1', 'vdb'],
    ['ubd0p2', 'vda2'],
  ])('%s becomes %s', (name, renamed) => {
    expect(diskFate(name, toQemu)).toEqual({ kind: 'renamed', name: renamed });
  });

  test.each(['vda', 'vda1', 'mapper/root', 'md0', 'disk/by-uuid/1234', 'root', 'ubdax/'])(
    '%s stays',
    (name) => {
      expect(diskFate(name, toQemu)).toEqual({ kind: 'same' });
    },
  );

  test.each(['ubdc', 'ubdc1', 'sda1', 'hdb', 'xvdz'])('%s is not there', (name) => {
    expect(diskFate(name, toQemu)).toEqual({ kind: 'absent' });
  });

  test('a disk that does not come along is not there', () => {
    const changes = diskChanges(
      guestWithDisks('uml', ['ubd0', 'ubd1', 'ubd2']),
      guestWithDisks('qemu', ['vda', 'vdb']),
      [0, null, 1],
    );
    expect(diskFate('ubdb', changes)).toEqual({ kind: 'absent' });
    expect(diskFate('ubdc', changes)).toEqual({ kind: 'renamed', name: 'vdb' });
  });

  test('an image that becomes a partition of its own has no partitions', () => {
    const changes = diskChanges(guestWithDisks('uml', ['ubd0']), guestWithDisks('xen', ['xvda1']));
    expect(diskFate('ubda', changes)).toEqual({ kind: 'renamed', name: 'xvda1' });
    expect(diskFate('ubda1', changes)).toEqual({ kind: 'absent' });
  });

  test('two disks that change places keep their contents', () => {
    const changes = diskChanges(
      guestWithDisks('qemu', ['vda', 'vdb']),
      guestWithDisks('qemu', ['vda', 'vdb']),
      [1, 0],
    );
    expect(diskFate('vda', changes)).toEqual({ kind: 'renamed', name: 'vdb' });
    expect(diskFate('vdb1', changes)).toEqual({ kind: 'renamed', name: 'vda1' });
  });
});
