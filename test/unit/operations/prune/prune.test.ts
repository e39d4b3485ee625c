import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Seal } from '../../../../src/seal/seal.ts';
import { noSeal, sealFor } from '../../../../src/seal/seal-for.ts';
import type { Event } from '../../../../src/events.ts';
import { forgetGuest } from '../../../../src/operations/stores/forget-guest.ts';
import { forgetSnapshot } from '../../../../src/operations/stores/forget-snapshot.ts';
import { protectSnapshot } from '../../../../src/operations/stores/protect-snapshot.ts';
import type { PruneReport } from '../../../../src/operations/prune/prune-report.ts';
import { prune, type PruneRequest } from '../../../../src/operations/prune/prune.ts';
import { StoreSession } from '../../../../src/operations/store-access/store-session.ts';
import { announceSnapshot } from '../../../../src/repository/announced-snapshot.ts';
import { GuestFolder } from '../../../../src/repository/guest-folder.ts';
import { markerText } from '../../../../src/repository/keys/store-marker.ts';
import type { StoreMemory } from '../../../../src/repository/store-memory.ts';
import type { BackupStore } from '../../../../src/store/store.ts';
import { codeOf, failureOf } from '../../../support/failures.ts';
import { randomFrom, ScheduledStore } from '../../../support/stores/scheduled-store.ts';
import { backupSmallImage, whyNotRestorable, type SmallImage } from '../../../support/images/small-images.ts';
import { snapshotId } from '../../../../src/repository/files/snapshot-id.ts';

const { signal } = new AbortController();
let batches = 0;
const clock = {
  now: () => new Date('2026-11-30T12:00:00Z'),
  timeZone: 'UTC',
  randomHex: (digits: number) => String(++batches).padStart(digits, '0'),
};

let scheduled: ScheduledStore;
let store: BackupStore;
let session: StoreSession;
let folder: GuestFolder;
let events: Event[];
let context: { signal: AbortSignal; report: (event: Event) => void };

beforeEach(async () => {
  scheduled = new ScheduledStore(() => 0, 0);
  store = scheduled.as(null);
  events = [];
  context = { signal, report: (event) => void events.push(event) };
  const marker = markerText({ id: 'ab'.repeat(16), encryption: null });
  await store.put('vmferry-store.json', [Buffer.from(marker)], { signal });
  session = await openSession(store);
  folder = folderOf('web');
});

function openSession(of: BackupStore): Promise<StoreSession> {
  const memory = { recall: () => Promise.resolve(null), remember: () => Promise.resolve() };
  const passphrase = () => Promise.reject(new Error('no passphrase is needed'));
  return StoreSession.open(of, { passphrase, memory }, context);
}

function folderOf(guest: string, seal: Seal = noSeal): GuestFolder {
  return new GuestFolder(store, guest, seal);
}

async function backUp(day: number, image: SmallImage, into = folder): Promise<string> {
  const at = new Date(`2026-11-${String(day).padStart(2, '0')}T03:00:00Z`);
  return (await backupSmallImage(into, image, snapshotId(at, '00000'), at)).id;
}

function pruneAs(request: Partial<PruneRequest> = {}): Promise<PruneReport> {
  const usual = { guest: null, dryRun: false, rules: { last: 1 }, graceMs: 0, maxWaste: 0.2 };
  return prune({ ...usual, ...request }, session, clock, context);
}

function files(): Map<string, Uint8Array> {
  return new Map([...scheduled.files].map(([name, { bytes }]) => [name, bytes]));
}

function namesIn(part: string): string[] {
  return [...scheduled.files.keys()].filter((name) => name.includes(`/${part}/`));
}

async function expectRestorable(id: string, image: SmallImage): Promise<void> {
  expect(await whyNotRestorable(files(), folder, id, image)).toBeNull();
}

describe('prune', () => {
  test('removes snapshots that no rule keeps, and the data that only they needed', async () => {
    const old = await backUp(1, [1, 2, 3, 4, 5, 6]);
    const kept = await backUp(2, [7, 8, 9]);
    const before = [...scheduled.files.values()].reduce((sum, { bytes }) => sum + bytes.length, 0);
    const { guests } = await pruneAs();
    expect(guests).toMatchObject([{ guest: 'web', removed: [old], kept: [{ id: kept }], failure: null }]);
    const [guest] = guests;
    expect(guest?.trashedBytes).toBeGreaterThan(0);
    expect(guest?.freedBytes).toBe(guest?.trashedBytes);
    expect(await folder.snapshotIds(signal)).toEqual([kept]);
    expect([namesIn('packs').length, namesIn('maps').length, namesIn('trash').length]).toEqual([1, 1, 0]);
    await expectRestorable(kept, [7, 8, 9]);
    expect([...scheduled.files.values()].reduce((sum, { bytes }) => sum + bytes.length, 0)).toBeLessThan(
      before,
    );
  });

  test('leaves index files that name deleted packs to the next prune', async () => {
    await backUp(1, [1, 2, 3, 4, 5, 6]);
    const kept = await backUp(2, [7, 8, 9]);
    await pruneAs();
    expect(namesIn('index')).toHaveLength(2);
    await pruneAs();
    expect(namesIn('index')).toHaveLength(1);
    await expectRestorable(kept, [7, 8, 9]);
    expect((await pruneAs()).guests).toMatchObject([{ trashedBytes: 0, freedBytes: 0 }]);
  });

  test('reports the removed snapshots by name even if a later step fails', async () => {
    const old = await backUp(1, [1]);
    await backUp(2, [2]);
    await pruneAs();
    const told = events.flatMap((event) => (event.type === 'stage-finished' ? [event.message] : []));
    expect(told).toEqual([`web: these were removed: ${old}`]);
  });

  test('leaves unneeded data in place for the grace period, and then in the trash for another one', async () => {
    await backUp(1, [1, 2, 3]);
    await backUp(2, [4, 5, 6]);
    const graceMs = 50;
    await pruneAs({ graceMs });
    expect([namesIn('packs').length, namesIn('trash').length]).toEqual([2, 0]);
    scheduled.clockMs += 60;
    await pruneAs({ graceMs });
    expect(namesIn('trash').filter((name) => name.includes('/packs/'))).toHaveLength(1);
    await pruneAs({ graceMs });
    expect(namesIn('trash').filter((name) => name.includes('/packs/'))).toHaveLength(1);
    scheduled.clockMs += 60;
    const [guest] = (await pruneAs({ graceMs })).guests;
    expect(guest?.freedBytes).toBeGreaterThan(0);
    expect(namesIn('packs')).toHaveLength(1);
  });

  test('rewrites packs that are mostly unneeded', async () => {
    await backUp(1, [1, 2, 3, 4, 5, 6]);
    const image = [1, 0, 0, 0, 5, 0];
    const kept = await backUp(2, image);
    const dry = (await pruneAs({ dryRun: true })).guests[0];
    const [guest] = (await pruneAs()).guests;
    expect([dry?.rewrittenPacks, guest?.rewrittenPacks]).toEqual([1, 1]);
    expect(namesIn('packs')).toHaveLength(1);
    await expectRestorable(kept, image);
    expect((await pruneAs()).guests).toMatchObject([{ rewrittenPacks: 0, wastedBytes: 0 }]);
    await expectRestorable(kept, image);
  });

  test('keeps and marks a pack that turns out to be damaged when it is rewritten', async () => {
    await backUp(1, [1, 2, 3, 4, 5, 6]);
    await backUp(2, [1]);
    const [name = ''] = namesIn('packs');
    const bytes = Buffer.from(scheduled.files.get(name)?.bytes ?? []);
    bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1);
    await store.put(name, [bytes], { signal });
    const [guest] = (await pruneAs()).guests;
    expect(guest?.rewrittenPacks).toBe(0);
    expect(namesIn('packs')).toEqual([name]);
    expect(namesIn('damaged').map((path) => path.slice(-64))).toEqual([name.slice(-68, -4)]);
    expect(events).toContainEqual(expect.objectContaining({ type: 'warning', code: 'store-incomplete' }));
  });

  test('merges index files when there are many', async () => {
    const images = Array.from({ length: 36 }, (_, number) => [number + 1, number + 2]);
    for (const [number, image] of images.entries()) await backUp(1 + (number % 28), image, folderOf('web'));
    expect(namesIn('index').length).toBeGreaterThan(32);
    const ids = await folder.snapshotIds(signal);
    await pruneAs({ rules: { last: 1000 } });
    expect(namesIn('index')).toHaveLength(1);
    expect(await folder.snapshotIds(signal)).toEqual(ids);
    await expectRestorable(ids.at(-1) ?? '', images[27] ?? []);
  });

  test('takes back from the trash what snapshots need', async () => {
    const image = [1, 2, 3, 4];
    const id = await backUp(1, image);
    for (const name of [...namesIn('packs'), ...namesIn('maps'), ...namesIn('index')])
      await store.rename(
        name,
        name.replace('guests/web/', 'guests/web/trash/20261101T000000Z-00000000/'),
        signal,
      );
    await pruneAs();
    // A prune cannot tell how long this index file has been in the trash before its batch has a mark.
    expect(namesIn('trash').map((name) => name.split('/')[4])).toEqual(['index', 'begun']);
    await expectRestorable(id, image);
    await pruneAs();
    expect(namesIn('trash')).toEqual([]);
    expect(['packs', 'maps', 'index'].map((kind) => namesIn(kind).length)).toEqual([1, 1, 1]);
    await expectRestorable(id, image);
  });

  test.each(['cut off', 'damaged'])(
    'takes a pack back from the trash if the one in place is %s, and does not delete it before',
    async (what) => {
      // Use packs that no other test has restored from: restored packs are cached unpacked here.
      const image = what === 'cut off' ? [1, 2, 3, 4] : [11, 12, 13, 14];
      const id = await backUp(1, image);
      const [name = ''] = namesIn('packs');
      const whole = Buffer.from(scheduled.files.get(name)?.bytes ?? []);
      const batch = 'guests/web/trash/20261101T000000Z-00000000';
      await store.put(name.replace('guests/web', batch), [whole], { signal });
      await store.put(`${batch}/begun`, [], { signal });
      if (what === 'cut off') await store.put(name, [whole.subarray(0, whole.length - 512)], { signal });
      else {
        await store.put(name, [Buffer.alloc(whole.length)], { signal });
        await folder.mark('damaged', name.slice(-68, -4), signal);
      }
      scheduled.clockMs += 60;
      await pruneAs();
      await expectRestorable(id, image);
      await pruneAs();
      await expectRestorable(id, image);
      expect([namesIn('packs').length, namesIn('trash')]).toEqual([1, []]);
    },
  );

  test('deletes a truncated pack from the trash if a whole one is in its place', async () => {
    const image = [1, 2, 3, 4];
    const id = await backUp(1, image);
    const [name = ''] = namesIn('packs');
    const whole = Buffer.from(scheduled.files.get(name)?.bytes ?? []);
    const batch = 'guests/web/trash/20261101T000000Z-00000000';
    await store.put(name.replace('guests/web', batch), [whole.subarray(512)], { signal });
    await store.put(`${batch}/begun`, [], { signal });
    scheduled.clockMs += 60;
    await pruneAs();
    expect([namesIn('packs').length, namesIn('trash')]).toEqual([1, []]);
    await expectRestorable(id, image);
  });

  test('keeps the data of a snapshot that is only announced, until it is older than the grace period', async () => {
    const id = await backUp(1, [1, 2, 3]);
    const snapshot = await folder.readSnapshot(id, signal);
    await backUp(2, [4]);
    await announceSnapshot(folder, snapshot, signal);
    await pruneAs({ graceMs: 1000 });
    await folder.removeSnapshot(id, signal);
    await pruneAs({ graceMs: 1000 });
    expect([namesIn('announced').length, namesIn('packs').length]).toEqual([1, 2]);
    await pruneAs();
    expect([namesIn('announced').length, namesIn('packs').length]).toEqual([0, 1]);
  });

  test('leaves a guest with an unreadable manifest alone, and prunes the others', async () => {
    const mail = folderOf('mail');
    await backUp(1, [1], mail);
    const old = await backUp(1, [1]);
    await backUp(2, [2]);
    const damaged = await backUp(3, [3], mail);
    await backUp(4, [4], mail);
    await store.put(mail.nameOf('snapshots', damaged), [Buffer.from('{}')], { signal });
    const before = namesIn('mail');
    const { guests } = await pruneAs();
    expect(guests).toMatchObject([
      { guest: 'mail', removed: [], failure: { code: 'store-damaged' } },
      { guest: 'web', removed: [old], failure: null },
    ]);
    expect(guests[0]?.failure?.advice).toContain(mail.nameOf('snapshots', damaged));
    expect(namesIn('mail').toSorted()).toEqual(before.toSorted());
  });

  test('moves nothing when a page is lost', async () => {
    await backUp(1, [1]);
    await backUp(2, [2]);
    const [page = ''] = (await folder.readSnapshot((await folder.snapshotIds(signal))[1] ?? '', signal))
      .disks[0]?.pages ?? [''];
    await store.remove(folder.nameOf('maps', page ?? ''), signal);
    const { guests } = await pruneAs();
    expect(guests[0]?.failure?.code).toBe('store-damaged');
    expect(namesIn('packs')).toHaveLength(2);
  });

  test('changes nothing in a dry run, and predicts what is freed', async () => {
    const old = await backUp(1, [1, 2, 3, 4]);
    await backUp(2, [5, 6]);
    const before = files();
    const dry = await pruneAs({ dryRun: true });
    expect(files()).toEqual(before);
    expect(dry.guests[0]?.removed).toEqual([old]);
    const [done] = (await pruneAs()).guests;
    expect(dry.guests[0]?.trashedBytes).toBeGreaterThan(0);
    // The real prune also merges index files.
    expect(done?.freedBytes).toBeGreaterThanOrEqual(dry.guests[0]?.trashedBytes ?? 0);
  });

  test('removes what broken uploads have left, but no upload that may still run', async () => {
    await backUp(1, [1]);
    await store.put('guests/web/packs/old.tar.part-0123456789ab', [], { signal });
    await store.put('guests/web/checked/old.zst.part-0123456789ab', [], { signal });
    scheduled.clockMs += 25 * 3_600_000;
    await store.put('guests/web/packs/new.tar.part-0123456789ab', [], { signal });
    await pruneAs();
    expect(namesIn('packs').filter((name) => name.includes('.part-'))).toEqual([
      'guests/web/packs/new.tar.part-0123456789ab',
    ]);
    expect(namesIn('checked')).toEqual([]);
  });

  test('warns on a server without file times that nothing is freed, and says how to free it', async () => {
    await backUp(1, [1, 2, 3]);
    const kept = await backUp(2, [4]);
    const timed = store.list.bind(store);
    store.list = async (...which) => (await timed(...which)).map((entry) => ({ ...entry, modifiedMs: 0 }));
    for (let night = 1; night <= 2; night++) await pruneAs({ graceMs: 1000 });
    expect(namesIn('packs')).toHaveLength(2);
    const warnings = events.filter(({ type }) => type === 'warning');
    expect(warnings).toEqual(
      Array.from({ length: 2 }, () => ({
        type: 'warning',
        code: 'store-promises-less',
        message: expect.stringMatching(/^a scheduled store does not say .* no space is freed.* --grace 0,/),
      })),
    );
    const [guest] = (await pruneAs()).guests;
    expect(guest?.freedBytes).toBeGreaterThan(0);
    expect([namesIn('packs').length, namesIn('trash')]).toEqual([1, []]);
    expect(events.filter(({ type }) => type === 'warning')).toHaveLength(2);
    await expectRestorable(kept, [4]);
  });

  test('keeps protected snapshots', async () => {
    const first = await backUp(1, [1]);
    await backUp(2, [2]);
    await protectSnapshot('web@2026-11-01', true, session, context);
    expect((await pruneAs()).guests[0]?.removed).toEqual([]);
    expect(await protectSnapshot(`web@${first}`, false, session, context)).toEqual({
      type: 'unprotected',
      guest: 'web',
      snapshot: first,
    });
    expect((await pruneAs()).guests[0]?.removed).toEqual([first]);
  });

  test('never removes a snapshot that was reported as protected, in whatever order the steps happen', async () => {
    const outcomes = new Set<string>();
    for (let seed = 1; seed <= 80; seed++) {
      scheduled = new ScheduledStore(randomFrom(seed), 500);
      store = scheduled.as(null);
      const marker = markerText({ id: 'ab'.repeat(16), encryption: null });
      await store.put('vmferry-store.json', [Buffer.from(marker)], { signal });
      folder = folderOf('web');
      const image = [1, 2, 3];
      const old = await backUp(1, image);
      await backUp(2, [4]);
      const protect = async () => {
        const own = scheduled.as('protect');
        // A prune does many steps before it removes anything.
        for (let turns = seed % 60; turns > 0; turns--) await own.list('', signal);
        await protectSnapshot(`web@${old}`, true, await openSession(own), context);
      };
      const pruneNow = async () => {
        const usual = { guest: 'web', dryRun: false, rules: { last: 1 }, graceMs: 0, maxWaste: 0.2 };
        return (await prune(usual, await openSession(scheduled.as('prune')), clock, context)).guests[0]
          ?.removed;
      };
      const protecting = codeOf(protect).catch(() => 'protected');
      const pruning = pruneNow();
      await scheduled.run([protecting, pruning], () => undefined);
      const isThere = (await folder.snapshotIds(signal)).includes(old);
      const outcome = await protecting;
      outcomes.add(`${outcome} ${isThere}`);
      if (outcome === 'protected') await expectRestorable(old, image);
      expect([seed, await pruning]).toEqual([seed, isThere ? [] : [old]]);
      expect((await folder.marks('protected', signal)).has(old)).toBe(outcome === 'protected');
    }
    expect([...outcomes]).toEqual(expect.arrayContaining(['protected true', 'snapshot-missing false']));
  });

  test('removes the marks of snapshots that are gone, and no others', async () => {
    const old = await backUp(1, [1]);
    const gone = '20261101T040000Z-00000000';
    await backUp(2, [2]);
    await folder.mark('protected', old, signal);
    await folder.mark('protected', gone, signal);
    await pruneAs({ graceMs: 1000 });
    expect([...(await folder.marks('protected', signal))]).toEqual([old, gone]);
    await pruneAs();
    expect([...(await folder.marks('protected', signal))]).toEqual([old]);
  });

  test('refuses to run without rules, or for a guest that the store does not have', async () => {
    await backUp(1, [1]);
    expect(await codeOf(() => pruneAs({ rules: {} }))).toBe('usage');
    expect(await codeOf(() => pruneAs({ guest: 'ftp' }))).toBe('snapshot-missing');
    expect(await codeOf(() => protectSnapshot('ftp@latest', true, session, context))).toBe(
      'snapshot-missing',
    );
  });

  test('prunes an encrypted store as well', async () => {
    const sealed = folderOf('web', sealFor(Buffer.alloc(32, 1)));
    await backUp(1, [1, 2, 3], sealed);
    const kept = await backUp(2, [4, 5], sealed);
    Object.defineProperty(session, 'folder', { value: () => sealed });
    const [guest] = (await pruneAs()).guests;
    expect(guest).toMatchObject({ kept: [{ id: kept }], missingChunks: 0, failure: null });
    await pruneAs();
    expect(['packs', 'maps', 'index'].map((kind) => namesIn(kind).length)).toEqual([1, 1, 1]);
  });
});

describe('forgetGuest', () => {
  const typed = (name: string) => () => Promise.resolve(name);

  test('deletes everything of the guest, and nothing else', async () => {
    await backUp(1, [1, 2]);
    await backUp(2, [3], folderOf('mail'));
    await store.put('guests/web/trash/x/packs/y', [], { signal });
    await store.put('guests/web/packs/z.tar.part-0123456789ab', [], { signal });
    const others = [...scheduled.files.keys()].filter((name) => !name.startsWith('guests/web/'));
    const report = await forgetGuest('web', typed('web'), session, context);
    expect(report).toMatchObject({ type: 'forgotten', guest: 'web', snapshots: [expect.any(String)] });
    expect([...scheduled.files.keys()]).toEqual(others);
  });

  test('does not make the next backup warn that the server shows an old state', async () => {
    await backUp(1, [1, 2]);
    let newest: ReadonlyMap<string, string | null> = new Map();
    const memory: StoreMemory = {
      recall: () => {
        const entries = [...newest].flatMap(([guest, id]) => (id === null ? [] : [[guest, id] as const]));
        return Promise.resolve({
          id: 'ab'.repeat(16),
          isEncrypted: false,
          newest: new Map(entries),
          file: '/state/x.json',
        });
      },
      remember: (_location, _store, changes = new Map()) => {
        newest = new Map([...newest, ...changes]);
        return Promise.resolve();
      },
    };
    const passphrase = () => Promise.reject(new Error('no passphrase is needed'));
    session = await StoreSession.open(store, { passphrase, memory }, context);
    await session.saw(new Map([['web', await folder.snapshotIds(signal)]]), context);
    await forgetGuest('web', typed('web'), session, context);
    await session.saw(new Map([['web', []]]), context);
    expect(events.filter(({ type }) => type === 'warning')).toEqual([]);
  });

  test('refuses a guest that has a protected snapshot', async () => {
    const id = await backUp(1, [1, 2]);
    await backUp(2, [3, 4]);
    await folder.mark('protected', id, signal);
    const before = files();
    const failure = await failureOf(() => forgetGuest('web', typed('web'), session, context));
    expect(failure.code).toBe('usage');
    expect(failure.message).toContain(`web@${id} is protected`);
    expect(failure.advice).toContain('vmferry unprotect');
    expect(files()).toEqual(before);
  });

  test('deletes one snapshot, by its id, unless it is protected', async () => {
    const [first, second] = [await backUp(1, [1, 2]), await backUp(2, [3, 4])];
    const forget = (when: string, name: string) =>
      forgetSnapshot({ guest: 'web', when }, typed(name), session, context);
    expect(await codeOf(() => forget('latest', `web@${second}`))).toBe('usage');
    expect(await codeOf(() => forget('2026-11-02', `web@${second}`))).toBe('usage');
    expect(await codeOf(() => forget(second, 'web'))).toBe('usage');
    await folder.mark('protected', first, signal);
    expect(await codeOf(() => forget(first, `web@${first}`))).toBe('usage');
    expect(await folder.snapshotIds(signal)).toEqual([first, second]);
    const report = await forget('20261102', `web@${second}`);
    expect(report).toEqual({ type: 'forgotten', guest: 'web', snapshots: [second], freedBytes: 0 });
    expect(await folder.snapshotIds(signal)).toEqual([first]);
  });

  test('deletes nothing if another name is typed, or the store does not have the guest', async () => {
    await backUp(1, [1, 2]);
    const before = files();
    const failure = await failureOf(() => forgetGuest('web', typed('wed'), session, context));
    expect([failure.code, failure.message]).toEqual([
      'usage',
      expect.stringContaining('Nothing was deleted'),
    ]);
    expect(await codeOf(() => forgetGuest('ftp', typed('ftp'), session, context))).toBe('snapshot-missing');
    expect(files()).toEqual(before);
  });
});
