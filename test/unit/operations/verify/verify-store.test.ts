import { beforeEach, describe, expect, test } from '@jest/globals';
import { noSeal } from '../../../../src/seal/seal-for.ts';
import { Failure } from '../../../../src/failure.ts';
import type { RunFigures } from '../../../../src/operations/reports/run-record.ts';
import { StoreSession } from '../../../../src/operations/store-access/store-session.ts';
import { listStore } from '../../../../src/operations/stores/list-store.ts';
import { prune } from '../../../../src/operations/prune/prune.ts';
import { verifyStore, type BootCheck } from '../../../../src/operations/verify/verify-store.ts';
import { GuestFolder } from '../../../../src/repository/guest-folder.ts';
import { markerText } from '../../../../src/repository/keys/store-marker.ts';
import { strangeEntry } from '../../../../src/store/strange-entry.ts';
import { seededBytes } from '../../../support/images/images.ts';
import { inProcessPool } from '../../../support/in-process-pool.ts';
import { memoryStore } from '../../../support/stores/memory-store.ts';
import { storeSnapshot } from '../../../support/stores/stored-snapshots.ts';

const context = { signal: new AbortController().signal, report: () => undefined };

let store: ReturnType<typeof memoryStore>;
let session: StoreSession;

beforeEach(async () => {
  store = memoryStore();
  store.files.set('vmferry-store.json', Buffer.from(markerText({ id: 'ab'.repeat(16), encryption: null })));
  for (const [seed, guest] of ['mail', 'web'].entries()) {
    const image = Buffer.from(seededBytes(seed, 2 * 65_536));
    const folder = new GuestFolder(store, guest, noSeal);
    await storeSnapshot(folder, [{ name: `${guest}.img`, image }], new Date('2026-11-22T03:00:00Z'));
  }
  const options = {
    passphrase: () => Promise.reject(new Error('it is not encrypted')),
    memory: { recall: () => Promise.resolve(null), remember: () => Promise.resolve() },
  };
  session = await StoreSession.open(store, options, context);
});

/** By guest: the figures that were reported last. */
async function verify(readPercent: number, boot: BootCheck | null = null, guest: string | null = null) {
  const told = new Map<string, RunFigures>();
  const dependencies = { pool: inProcessPool, now: () => new Date('2026-11-24T04:00:00Z') };
  const done = (name: string, figures: RunFigures) => void told.set(name, figures);
  await verifyStore({ guest, readPercent, boot }, session, dependencies, done, context);
  return told;
}

function losePackOf(guest: string): void {
  for (const name of store.files.keys())
    if (name.startsWith(`guests/${guest}/packs/`)) store.files.delete(name);
}

const booting = (guest: string, failure?: Failure): BootCheck => ({
  guest,
  run: () =>
    failure === undefined
      ? Promise.resolve({ guest, snapshot: '20261122T030000Z-0123abcd', bootSeconds: 1 })
      : Promise.reject(failure),
});

describe('the figures reported for each guest', () => {
  test('count it as verified if its data was read, not if the data is only there', async () => {
    expect((await verify(0)).get('web')).toEqual({ readBytes: 0, isVerified: false, hasFailed: false });
    const told = await verify(100);
    expect(told.get('web')).toMatchObject({ isVerified: true, hasFailed: false });
    expect(told.get('web')?.readBytes).toBeGreaterThan(0);
  });

  test('say which guest is damaged', async () => {
    losePackOf('web');
    const told = await verify(100);
    expect(told.get('web')).toMatchObject({ isVerified: false, hasFailed: true });
    expect(told.get('mail')).toMatchObject({ isVerified: true, hasFailed: false });
  });

  test('count only the booted guest as verified', async () => {
    const told = await verify(0, booting('web'));
    expect(told.get('web')).toMatchObject({ isVerified: true, hasFailed: false });
    expect(told.get('mail')).toMatchObject({ isVerified: false, hasFailed: false });
    expect((await verify(0, booting('web'), 'mail')).get('web')).toEqual({ isVerified: true });
  });

  test('do not count it as verified if it did not boot, or another snapshot of it is damaged', async () => {
    const failure = new Failure('boot-failed', 'It does not boot.');
    const told = await verify(100, booting('web', failure));
    expect(told.get('web')).toMatchObject({ isVerified: false, hasFailed: true });
    expect(told.get('mail')).toMatchObject({ isVerified: true, hasFailed: false });
    losePackOf('web');
    expect((await verify(0, booting('web'))).get('web')).toMatchObject({
      isVerified: false,
      hasFailed: true,
    });
  });
});

test('a guest whose folder is a link does not stop the others', async () => {
  const list = store.list.bind(store);
  store.list = (folder, ...others) =>
    folder.startsWith('guests/mail/')
      ? Promise.reject(strangeEntry('/srv/backups', 'guests/mail', 'a symbolic link'))
      : list(folder, ...others);
  const told = new Map<string, RunFigures>();
  const dependencies = { pool: inProcessPool, now: () => new Date('2026-11-24T04:00:00Z') };
  const done = (name: string, figures: RunFigures) => void told.set(name, figures);
  const { report, failure } = await verifyStore(
    { guest: null, readPercent: 100, boot: null },
    session,
    dependencies,
    done,
    context,
  );
  expect(report).toMatchObject({ guests: [{ guest: 'web', problems: [] }], isDamaged: true });
  expect(failure).toMatchObject({
    code: 'store-damaged',
    message: expect.stringContaining('guests/mail in'),
  });
  expect(told.get('mail')).toMatchObject({ isVerified: false, hasFailed: true });
  expect(told.get('web')).toMatchObject({ isVerified: true, hasFailed: false });
  const mail = { guest: 'mail', readPercent: 0, boot: null };
  const alone = verifyStore(mail, session, dependencies, done, context);
  await expect(alone).rejects.toMatchObject({ code: 'store-damaged' });

  const events: unknown[] = [];
  const telling = { ...context, report: (event: unknown) => events.push(event) };
  expect((await listStore(null, session, telling)).guests).toMatchObject([{ guest: 'web' }]);
  expect(events).toMatchObject([{ type: 'warning', message: expect.stringContaining('mail is not listed') }]);
  await expect(listStore('mail', session, context)).rejects.toMatchObject({ code: 'store-damaged' });

  const clock = { now: dependencies.now, timeZone: 'UTC', randomHex: (digits: number) => '0'.repeat(digits) };
  const request = { guest: null, dryRun: true, rules: { last: 1 }, graceMs: 0, maxWaste: 0 };
  expect((await prune(request, session, clock, context)).guests).toMatchObject([
    { guest: 'mail', failure: { code: 'store-damaged' } },
    { guest: 'web', failure: null },
  ]);
});
