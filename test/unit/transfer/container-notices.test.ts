import { expect, test } from '@jest/globals';
import type { Event } from '../../../src/events.ts';
import type { ContainerDescription, ImageSource } from '../../../src/image/source/image-source.ts';
import { tellOfContainer } from '../../../src/transfer/container-notices.ts';

function told(container: ContainerDescription | null, toldSnapshots?: readonly string[]): Event[] {
  const events: Event[] = [];
  const source = { container, sizeBytes: 1024 } as ImageSource;
  const report = (event: Event) => void events.push(event);
  tellOfContainer({ name: 'web.qcow2', source }, { report }, toldSnapshots);
  return events;
}

const plain: ContainerDescription = { backingFiles: [], snapshots: [], snapshotCount: 0, statedBytes: 1024 };

test('nothing is said of a raw image, and of a plain one', () => {
  expect(told(null)).toEqual([]);
  expect(told(plain)).toEqual([]);
});

test('snapshots that stay behind are a warning; backing files and a rounded size are told', () => {
  const events = told({
    backingFiles: [{ path: '/srv/base.img', format: 'raw' }],
    snapshots: ['monday'],
    snapshotCount: 2,
    statedBytes: 512,
  });
  expect(events.map(({ type }) => type)).toEqual(['warning', 'notice', 'notice']);
  expect(JSON.stringify(events)).toContain(
    'web.qcow2 has internal snapshots, which stay behind: monday, and 1 more.',
  );
  expect(JSON.stringify(events)).toContain('/srv/base.img');
  expect(JSON.stringify(events)).toContain('states 512');
});

test('snapshots that were told of before are not told again', () => {
  const two = { ...plain, snapshots: ['monday', 'tuesday'], snapshotCount: 2 };
  expect(told(two, ['tuesday', 'monday'])).toEqual([]);
  expect(told(two, ['tuesday'])).toMatchObject([{ message: expect.stringContaining('behind: monday. ') }]);
  expect(told({ ...two, snapshotCount: 3 }, two.snapshots)).toMatchObject([
    { message: expect.stringContaining('behind: 1 more. ') },
  ]);
});
