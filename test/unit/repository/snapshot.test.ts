import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Failure } from '../../../src/failure.ts';
import { parseSnapshot, snapshotText, type Snapshot } from '../../../src/repository/snapshot.ts';
import { isSnapshotId, snapshotId, snapshotTime } from '../../../src/repository/files/snapshot-id.ts';

describe('a snapshot’s id', () => {
  test('is its time to the millisecond, and five digits', () => {
    expect(snapshotId(new Date('2026-11-22T03:00:07.999Z'), 'a9c2e')).toBe('20261122T030007Z-3e7a9c2e');
    expect(snapshotId(new Date('2026-11-22T03:00:07.001Z'), 'a9c2e')).toBe('20261122T030007Z-001a9c2e');
  });

  test('gives the time back to the second, and sorts by time', () => {
    const time = fc.integer({ min: 0, max: 4_000_000_000_000 }).map((ms) => new Date(ms));
    const second = (at: Date) => Math.floor(at.getTime() / 1000) * 1000;
    fc.assert(
      fc.property(time, time, fc.nat({ max: 2000 }), (one, another, laterMs) => {
        for (const other of [another, new Date(one.getTime() + laterMs)]) {
          const ids = [one, other].map((at) => snapshotId(at, '00000'));
          expect(ids.map((id) => snapshotTime(id)?.getTime())).toEqual([second(one), second(other)]);
          expect((ids[0] ?? '') < (ids[1] ?? '')).toBe(one < other);
        }
      }),
    );
  });

  test.each([
    '',
    'latest',
    '20261122T030007Z',
    '20260230T030007Z-1f3a9c2e',
    '20261122T250007Z-1f3a9c2e',
    '../../x',
  ])('is not %j', (text) => {
    expect(isSnapshotId(text)).toBe(false);
  });
});

const id = '20261122T030007Z-1f3a9c2e';
const snapshot: Snapshot = {
  id,
  guest: 'web',
  createdAt: '2026-11-22T03:00:07.123Z',
  consistency: 'frozen',
  definition: {
    name: 'web',
    driver: 'uml',
    memoryBytes: 2 ** 27,
    cpuCount: null,
    kernel: '/usr/bin/linux.uml',
    initrd: null,
    disks: [{ device: 'ubd0', path: '/srv/web.img', readOnly: false }],
    commandLine: ['root=/dev/ubda'],
  },
  host: 'oldhost',
  vmferryVersion: '0.1.0',
  disks: [
    {
      name: 'web.img',
      sizeBytes: 2 ** 30,
      chunkBytes: 65_536,
      fingerprint: `sha256:${'ab'.repeat(32)}`,
      mode: 0o600,
      uid: 0,
      gid: 0,
      modifiedMs: 1.5,
      pages: ['cd'.repeat(32), null, null, null],
    },
  ],
  newBytes: 17,
};

describe('a manifest', () => {
  test('is read back as it was written', () => {
    expect(parseSnapshot(snapshotText(snapshot), 'web', id)).toEqual(snapshot);
  });

  test('says how much of a disk is in use, except for old manifests', () => {
    const disks = snapshot.disks.map((each) => ({ ...each, usedBytes: 2 ** 20 }));
    expect(parseSnapshot(snapshotText({ ...snapshot, disks }), 'web', id).disks).toEqual(disks);
  });

  const [disk] = snapshot.disks;
  test.each([
    ['another guest’s', { guest: 'mail' }],
    ['another snapshot’s', { id: '20261122T030007Z-00000000' }],
    ['one with a disk that has too few pages', { disks: [{ ...disk, pages: [null] }] }],
    ['one with another chunk size', { disks: [{ ...disk, chunkBytes: 131_072 }] }],
    ['one with a disk that leads out of its directory', { disks: [{ ...disk, name: '../web.img' }] }],
    [
      'one with a page that leads out of its folder',
      { disks: [{ ...disk, pages: ['../x', null, null, null] }] },
    ],
    ['one without disks', { disks: [] }],
    ['one with a field that is not known', { extra: 1 }],
    ['one whose definition is none', { definition: { name: 'web' } }],
  ])('is refused when it is %s', (_what, change) => {
    const text = JSON.stringify({ ...(JSON.parse(snapshotText(snapshot)) as object), ...change });
    expect(() => parseSnapshot(text, 'web', id)).toThrow(Failure);
  });

  test.each([
    ['a definition of 50,000 levels', { definition: '@' }, `${'['.repeat(50_000)}${']'.repeat(50_000)}`],
    ['millions of pages', { disks: [{ ...disk, pages: '@' }] }, `[${'1,'.repeat(5_000_000)}1]`],
    ['millions of disks', { disks: '@' }, `[${'1,'.repeat(5_000_000)}1]`],
  ])('with %s is damaged, and the message is short', (_what, change, content) => {
    const text = JSON.stringify({ ...(JSON.parse(snapshotText(snapshot)) as object), ...change });
    const parse = () => parseSnapshot(text.replace('"@"', content), 'web', id);
    expect(parse).toThrow(expect.objectContaining({ code: 'store-damaged' }));
    expect(parse).toThrow(/^.{1,500}$/s);
  });

  test('with two disks of the same name is damaged', () => {
    const twice = { ...snapshot, disks: [...snapshot.disks, ...snapshot.disks] };
    expect(() => parseSnapshot(snapshotText(twice), 'web', id)).toThrow(
      'two of its disks have the same name',
    );
  });

  test('with an unknown definition is unsupported, not damaged', () => {
    const later = { ...snapshot, definition: { ...snapshot.definition, tpm: true } };
    expect(() => parseSnapshot(snapshotText(later), 'web', id)).toThrow(
      expect.objectContaining({ code: 'store-unsupported' }),
    );
  });

  test('of a later version is unsupported, not damaged', () => {
    const text = snapshotText(snapshot).replace('"version": 1', '"version": 2');
    expect(() => parseSnapshot(text, 'web', id)).toThrow(
      expect.objectContaining({ code: 'store-unsupported' }),
    );
  });

  test.each(['', 'null', '[]', '{}', '{"format":"vmferry-snapshot"}', 'x'])('is not %j', (text) => {
    expect(() => parseSnapshot(text, 'web', id)).toThrow(expect.objectContaining({ code: 'store-damaged' }));
  });
});
