import { expect, test } from '@jest/globals';
import type { DriverKind } from '../../../../src/guest/definition.ts';
import {
  conflictsWith,
  takenBy,
  type GuestToMove,
} from '../../../../src/operations/migrate/several/together.ts';

function guest(typed: string, name: string, target: string, driver: DriverKind = 'uml'): GuestToMove {
  return {
    typed,
    definition: { name, driver },
    sources: [`/old/${driver}/${typed}`],
    targets: [target],
    takes: { files: [{ directory: '/srv', neededBytes: 10 }], memoryBytes: 64 },
  };
}

test('guests that move together take what all of them take', () => {
  expect(takenBy([])).toEqual({ files: [], memoryBytes: 0 });
  const file = { directory: '/srv', neededBytes: 10 };
  expect(takenBy([guest('web', 'web', '/srv/a'), guest('db', 'db', '/srv/b')])).toEqual({
    files: [file, file],
    memoryBytes: 128,
  });
});

test('guests that are one, share a name or share a place do not move together', () => {
  const earlier = [guest('web', 'web', '/srv/web.img')];
  const messages = (other: GuestToMove) =>
    conflictsWith(other, earlier).map(({ code, message }) => `${code}: ${message}`);
  expect(messages(guest('db', 'db', '/srv/db.img'))).toEqual([]);
  const same = { ...guest('uml:web', 'web', '/srv/web.img'), sources: ['/old/uml/web'] };
  expect(messages(same)).toEqual(['usage: web and uml:web are the same, or share /old/uml/web.']);
  expect(messages(guest('/srv/web', 'web', '/srv/other.img', 'offline'))).toEqual([]);
  expect(messages(guest('xen:web', 'web', '/srv/xen.img', 'xen'))).toEqual([
    'usage: web and xen:web have the same name, and would be one guest there.',
  ]);
  expect(messages(guest('db', 'db', '/srv/web.img'))).toEqual([
    'target-exists: A disk of web would be written to /srv/web.img as well.',
  ]);
});
