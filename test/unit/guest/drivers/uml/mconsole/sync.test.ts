import { expect, test } from '@jest/globals';
import {
  isWrittenSince,
  parsePageCounts,
  syncUml,
  type Console,
} from '../../../../../../src/guest/drivers/uml/mconsole/sync.ts';

const vmstat = `nr_free_pages 12000
nr_dirty 7
nr_writeback 3
nr_writeback_temp 99
nr_dirtied 788
nr_written 780
nr_dirty_threshold 1244
`;

test('reads the counts of pages', () => {
  expect(parsePageCounts(vmstat)).toEqual({ unwritten: 10, dirtied: 788 });
});

test('gives no counts if one is missing', () => {
  expect(parsePageCounts(vmstat.replace('nr_dirtied', 'nr_other'))).toBeNull();
  expect(parsePageCounts('')).toBeNull();
});

test('the earlier pages are written when no more pages are unwritten than were changed since', () => {
  const before = { unwritten: 10, dirtied: 100 };
  expect(isWrittenSince(before, { unwritten: 10, dirtied: 100 })).toBe(false);
  expect(isWrittenSince(before, { unwritten: 4, dirtied: 103 })).toBe(false);
  expect(isWrittenSince(before, { unwritten: 4, dirtied: 104 })).toBe(true);
  expect(isWrittenSince(before, { unwritten: 0, dirtied: 100 })).toBe(true);
});

/** A guest with 50 pages to write, of which it writes some each time that it is asked. */
class FakeGuest implements Console {
  sysrqSetting = '438';
  pagesAtATime = 20;
  answersSysrq = true;
  asked: string[] = [];
  #unwritten = 50;
  #begun = false;

  ask(...words: readonly string[]): Promise<string | null> {
    this.asked.push(words.join(' '));
    this.#begun = true;
    return Promise.resolve(this.answersSysrq ? '' : null);
  }

  readProc(path: string): Promise<string | null> {
    if (path === 'sys/kernel/sysrq') return Promise.resolve(this.sysrqSetting);
    if (this.#begun) this.#unwritten = Math.max(0, this.#unwritten - this.pagesAtATime);
    return Promise.resolve(`nr_dirty ${this.#unwritten}\nnr_writeback 0\nnr_dirtied 1000\n`);
  }

  get unwritten(): number {
    return this.#unwritten;
  }
}

const { signal } = new AbortController();

test('does two rounds, each of which waits until everything is written', async () => {
  const guest = new FakeGuest();
  expect(await syncUml(guest, 5_000, signal)).toBeNull();
  expect(guest.unwritten).toBe(0);
  expect(guest.asked).toEqual(['sysrq s', 'sysrq s']);
});

test.each([
  ['has sysrq switched off', { sysrqSetting: '0' }, /switched off/],
  ['allows other keys only', { sysrqSetting: '32' }, /switched off/],
  ['does not answer', { answersSysrq: false }, /does not answer/],
  ['does not write', { pagesAtATime: 0 }, /took longer than 0 s/],
])('says why a guest that %s is not synced', async (_, properties, reason) => {
  expect(await syncUml(Object.assign(new FakeGuest(), properties), 100, signal)).toMatch(reason);
});

test('sysrq setting 1 allows all keys', async () => {
  expect(await syncUml(Object.assign(new FakeGuest(), { sysrqSetting: '1' }), 5_000, signal)).toBeNull();
});

test('stops when aborted', async () => {
  const reason = new Error('enough');
  const guest = Object.assign(new FakeGuest(), { pagesAtATime: 0 });
  await expect(syncUml(guest, 5_000, AbortSignal.abort(reason))).rejects.toBe(reason);
});
