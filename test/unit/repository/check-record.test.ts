import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  checkRecordText,
  emptyCheckRecord,
  lastVerifiedMs,
  mergeCheckRecords,
  parseCheckRecord,
  type CheckRecord,
} from '../../../src/repository/check-record.ts';

const time = fc.integer({ min: 0, max: 4_000_000_000 }).map((seconds) => seconds * 1000);
const packId = fc.stringMatching(/^[0-9a-f]{64}$/);
const snapshotId = fc.constantFrom(
  '20261122T030000Z-00000001',
  '20261123T030000Z-00000002',
  '20261124T030000Z-00000003',
);
const snapshotCheck = fc.record({
  checkedMs: time,
  state: fc.constantFrom('whole' as const, 'damaged' as const),
  readMs: fc.option(time),
  bootedMs: fc.option(time),
});
const record: fc.Arbitrary<CheckRecord> = fc.record({
  packs: fc.array(fc.tuple(packId, time)).map((entries) => new Map(entries)),
  snapshots: fc.array(fc.tuple(snapshotId, snapshotCheck)).map((entries) => new Map(entries)),
});

test('a record is read back as it was written', () => {
  fc.assert(
    fc.property(record, (written) => {
      expect(parseCheckRecord(checkRecordText(written))).toEqual(written);
    }),
  );
});

test('the text has the format of doc/store.md', () => {
  const packs = new Map([['ab'.repeat(32), Date.parse('2026-11-23T04:00:00Z')]]);
  const snapshots = new Map([
    [
      '20261122T030000Z-00000001',
      {
        checkedMs: Date.parse('2026-11-23T04:00:00Z'),
        state: 'whole' as const,
        readMs: Date.parse('2026-11-20T04:00:00Z'),
        bootedMs: null,
      },
    ],
  ]);
  expect(checkRecordText({ packs, snapshots })).toBe(
    [
      'vmferry-checked 1',
      `pack ${'ab'.repeat(32)} 2026-11-23T04:00:00Z`,
      'snapshot 20261122T030000Z-00000001 2026-11-23T04:00:00Z whole 2026-11-20T04:00:00Z -',
      '',
    ].join('\n'),
  );
});

describe('a text that is not a record is refused', () => {
  const id = '20261122T030000Z-00000001';
  const at = '2026-11-23T04:00:00Z';
  test.each([
    '',
    'vmferry-checked 1',
    'vmferry-checked 2\n',
    'vmferry-checked 1\n\n',
    `vmferry-checked 1\npack ${'ab'.repeat(32)}\n`,
    `vmferry-checked 1\npack ${'ab'.repeat(32)} ${at} more\n`,
    `vmferry-checked 1\npack ${'AB'.repeat(32)} ${at}\n`,
    `vmferry-checked 1\npack ${'ab'.repeat(32)} 2026-13-23T04:00:00Z\n`,
    `vmferry-checked 1\nsnapshot ${id} ${at} whole -\n`,
    `vmferry-checked 1\nsnapshot ${id} ${at} good - -\n`,
    `vmferry-checked 1\nsnapshot ${id} ${at} whole - - -\n`,
    `vmferry-checked 1\nsnapshot web ${at} whole - -\n`,
  ])('%j', (text) => {
    expect(() => parseCheckRecord(text)).toThrow(expect.objectContaining({ code: 'store-damaged' }));
  });
});

describe('several records', () => {
  test('are merged in any order, and merging again changes nothing', () => {
    fc.assert(
      fc.property(fc.array(record, { maxLength: 4 }), (records) => {
        const merged = mergeCheckRecords(records);
        expect(mergeCheckRecords([merged, ...records])).toEqual(merged);
        const backwards = mergeCheckRecords(records.toReversed());
        expect(backwards.packs).toEqual(merged.packs);
        expect(checkTimes(backwards)).toEqual(checkTimes(merged));
      }),
    );
  });

  test('keep the last check and the last boot', () => {
    const id = '20261122T030000Z-00000001';
    const first = emptyCheckRecord();
    first.snapshots.set(id, { checkedMs: 1000, state: 'whole', readMs: 1000, bootedMs: 500 });
    const second = emptyCheckRecord();
    second.snapshots.set(id, { checkedMs: 2000, state: 'damaged', readMs: null, bootedMs: null });
    expect(mergeCheckRecords([first, second]).snapshots.get(id)).toEqual({
      checkedMs: 2000,
      state: 'damaged',
      readMs: null,
      bootedMs: 500,
    });
  });
});

test('a snapshot is verified by reading its data or by booting it', () => {
  const check = { checkedMs: 9000, state: 'whole' as const };
  expect(lastVerifiedMs({ ...check, readMs: null, bootedMs: null })).toBeNull();
  expect(lastVerifiedMs({ ...check, readMs: 3000, bootedMs: null })).toBe(3000);
  expect(lastVerifiedMs({ ...check, readMs: 3000, bootedMs: 5000 })).toBe(5000);
});

function checkTimes({ snapshots }: CheckRecord): [string, number, number | null][] {
  return [...snapshots]
    .map(([id, { checkedMs, bootedMs }]): [string, number, number | null] => [id, checkedMs, bootedMs])
    .sort(([one], [other]) => (one < other ? -1 : 1));
}
