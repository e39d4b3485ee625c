import { expect, test } from '@jest/globals';
import type { Event } from '../../../src/events.ts';
import type { ContainerDescription, ImageSource } from '../../../src/image/source/image-source.ts';
import { tellOfContainer } from '../../../src/transfer/container-notices.ts';

function told(container: ContainerDescription | null): Event[] {
  const events: Event[] = [];
  const source = { container, sizeBytes: 1024 } as ImageSource;
  const report = (event: Event) => void events.push(event);
  tellOfContainer({ name: 'web.qcow2', source }, { report, signal: new AbortController().signal });
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
  expect(JSON.stringify(events)).toContain('web.qcow2 has internal snapshots, which stay behind: monday, ….');
  expect(JSON.stringify(events)).toContain('/srv/base.img');
  expect(JSON.stringify(events)).toContain('states 512');
});
