import { expect, test } from '@jest/globals';
import type { Failure } from '../../../../src/failure.ts';
import { placeDisks, type DiskPlaces } from '../../../../src/operations/migrate/place-disks.ts';
import { noConversion } from '../../../../src/operations/migrate/conversion/guest-there.ts';
import { fakeDefinition } from '../../../support/guests/fake-driver.ts';

const pair = fakeDefinition('web', ['/srv/web.img', '/data/web-data.img']);

function placed(
  chosen: Readonly<Record<string, string>>,
  directory: string | null = null,
  guest = pair,
): DiskPlaces {
  const target = { destination: 'newhost', directory, sshConfigFile: null };
  const disks = Object.entries(chosen).map(([name, path]) => ({ name, path }));
  return placeDisks(guest, { target, disks, conversion: noConversion });
}

const pathsOf = ({ places }: DiskPlaces) => places.map(({ path }) => path);

function failureOf(work: () => unknown): Failure {
  try {
    work();
  } catch (error) {
    return error as Failure;
  }
  throw new Error('nothing was thrown');
}

test('disks without a place of their own go into one directory under their file names', () => {
  expect(placed({}).directory).toBe('/srv');
  expect(pathsOf(placed({}))).toEqual(['/srv/web.img', '/srv/web-data.img']);
  expect(pathsOf(placed({}, '/guests'))).toEqual(['/guests/web.img', '/guests/web-data.img']);
  expect(pathsOf(placed({}, '/'))).toEqual(['/web.img', '/web-data.img']);
});

test.each(['ubd1', 'web-data.img'])('a disk is chosen by its slot or its file name: %s', (name) => {
  const places = placed({ [name]: '/dev/vg0/data' });
  expect(pathsOf(places)).toEqual(['/srv/web.img', '/dev/vg0/data']);
  expect(places.places.map(({ isChosen }) => isChosen)).toEqual([false, true]);
});

test.each(['ubda', 'ubd0'])('a disk is chosen by its name in the guest: %s', (name) => {
  expect(pathsOf(placed({ [name]: '/dev/vg0/web' }))).toEqual(['/dev/vg0/web', '/data/web-data.img']);
});

test.each([
  ['root=/dev/ubdb', 1],
  ['root=/dev/ubdb2', 1],
  ['root=98:17', 1],
  ['root=/dev/ubda1', 0],
  ['root=UUID=ab', 0],
  ['root=/dev/md0', 0],
])("with %s on the kernel's command line, root is the disk %i", (root, index) => {
  const guest = fakeDefinition('web', ['/srv/a', '/srv/b'], { commandLine: ['root=/dev/ubda', root] });
  expect(pathsOf(placed({ root: '/dev/sdb1' }, null, guest)).indexOf('/dev/sdb1')).toBe(index);
});

test('root is the partition itself where partitions are disks of their own, and no other that begins so', () => {
  const disks = ['xvda1', 'xvda11'].map((device) => ({ device, path: `/srv/${device}`, readOnly: false }));
  const guest = fakeDefinition('web', [], { driver: 'xen', disks, commandLine: ['root=/dev/xvda11', 'ro'] });
  expect(pathsOf(placed({ root: '/dev/sdb1' }, null, guest))).toEqual(['/srv/xvda1', '/dev/sdb1']);
});

test('root is the first disk, unless another one has that name', () => {
  expect(pathsOf(placed({ root: '/dev/sdb1' }))).toEqual(['/dev/sdb1', '/data/web-data.img']);
  expect(placed({ root: '/dev/sdb1' }).directory).toBe('/data');
  const odd = fakeDefinition('odd', ['/srv/a', '/srv/root']);
  expect(pathsOf(placed({ root: '/dev/sdb1' }, null, odd))).toEqual(['/srv/a', '/dev/sdb1']);
});

test('no directory is needed when every disk has a place', () => {
  expect(placed({ ubd0: '/dev/sdb1', ubd1: '/dev/sdb2' }).directory).toBeNull();
  expect(placed({ ubd0: '/dev/sdb1', ubd1: '/dev/sdb2' }, '/spool').directory).toBe('/spool');
});

test('choices that do not fit the guest are refused, with its disks', () => {
  const unknown = failureOf(() => placed({ vda: '/dev/sdb1' }));
  expect(unknown).toMatchObject({
    code: 'usage',
    advice: expect.stringContaining('ubd1 (/data/web-data.img)'),
  });
  expect(failureOf(() => placed({ root: '/dev/a', ubd0: '/dev/b' })).message).toContain('twice');
  expect(failureOf(() => placed({ ubd0: '/dev/a', ubd1: '/dev/a' })).message).toContain('both go to /dev/a');
});

test('two disks of the same file name fit if one of them gets a place', () => {
  const twins = fakeDefinition('twins', ['/srv/disk.img', '/data/disk.img']);
  expect(failureOf(() => placed({}, null, twins))).toMatchObject({
    code: 'guest-unsupported',
    advice: expect.stringContaining('--disk ubd1='),
  });
  expect(pathsOf(placed({ ubd1: '/srv/data.img' }, null, twins))).toEqual(['/srv/disk.img', '/srv/data.img']);
});

test('a disk whose name cannot be kept needs a place', () => {
  const hidden = fakeDefinition('hidden', ['/srv/.web.img']);
  expect(failureOf(() => placed({}, null, hidden))).toMatchObject({ code: 'guest-unsupported' });
  expect(pathsOf(placed({ root: '/srv/web.img' }, null, hidden))).toEqual(['/srv/web.img']);
});

test('a guest without disks cannot be moved', () => {
  expect(failureOf(() => placed({}, null, fakeDefinition('none')))).toMatchObject({
    code: 'guest-unsupported',
  });
});
