import { describe, expect, test } from '@jest/globals';
import { whatChanged } from '../../../src/repository/store-changes.ts';
import type { RememberedStore } from '../../../src/repository/store-memory.ts';

const first = '20261122T030000Z-1f3a9c2e';
const second = '20261123T030000Z-00000000';
const id = '1f3a9c2e00112233445566778899aabb';
const otherId = '00000000000000000000000000000000';
const known: RememberedStore = {
  id,
  isEncrypted: true,
  newest: new Map([['web', first]]),
  file: '/state/x.json',
};
const plainly = { ...known, isEncrypted: false };
const found = { id, isEncrypted: true, snapshots: new Map([['web', [first, second]]]) };

function compare(...args: [RememberedStore | null, typeof found | null]) {
  const { failure, warnings } = whatChanged(...args, '/srv/backups');
  return { failure: failure?.code ?? null, warnings: warnings.map(({ code }) => code) };
}

const nothing = { failure: null, warnings: [] };

describe('a change of a store', () => {
  test('is not found if the store is new or unchanged', () => {
    expect(compare(null, found)).toEqual(nothing);
    expect(compare(null, null)).toEqual(nothing);
    expect(compare(known, found)).toEqual(nothing);
    expect(compare(plainly, { ...found, isEncrypted: false })).toEqual(nothing);
  });

  test('is a failure if an encrypted store is now plain or another one', () => {
    expect(compare(known, { ...found, isEncrypted: false }).failure).toBe('store-damaged');
    expect(compare(known, { ...found, id: otherId }).failure).toBe('store-damaged');
    expect(compare(known, { ...found, id: otherId, isEncrypted: false }).failure).toBe('store-damaged');
    const { failure } = whatChanged(known, { ...found, id: otherId }, '/srv/backups');
    expect(failure?.advice).toContain('/state/x.json');
  });

  test('is a warning if a plain store is now another one', () => {
    expect(compare(plainly, { ...found, id: otherId })).toEqual({
      failure: null,
      warnings: ['store-went-back'],
    });
  });

  test('is a failure if the store is gone', () => {
    expect(compare(known, null).failure).toBe('store-missing');
    expect(compare(plainly, null).failure).toBe('store-missing');
  });

  test('is a warning if the newest snapshot of a listed guest is gone', () => {
    const without = { ...found, snapshots: new Map([['web', [second]]]) };
    expect(compare(known, without)).toEqual({ failure: null, warnings: ['store-went-back'] });
    expect(whatChanged(known, without, '/srv/backups').warnings[0]?.message).toContain(`${first} of web`);
    expect(compare(known, { ...found, snapshots: new Map([['web', []]]) }).warnings).toEqual([
      'store-went-back',
    ]);
    expect(compare(known, { ...found, snapshots: new Map([['mail', []]]) })).toEqual(nothing);
  });
});
