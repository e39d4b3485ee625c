import { beforeEach, describe, expect, test } from '@jest/globals';
import { noSeal } from '../../../src/codec/seal.ts';
import { Failure } from '../../../src/failure.ts';
import type { RunFigures } from '../../../src/operations/run-record.ts';
import { StoreSession } from '../../../src/operations/store-session.ts';
import { verifyStore, type BootCheck } from '../../../src/operations/verify-store.ts';
import { GuestFolder } from '../../../src/repository/guest-folder.ts';
import { markerText } from '../../../src/repository/store-marker.ts';
import { seededBytes } from '../../support/images.ts';
import { inProcessPool } from '../../support/in-process-pool.ts';
import { memoryStore } from '../../support/memory-store.ts';
import { storeSnapshot } from '../../support/stored-snapshots.ts';

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

/** What is told of the guests, the last word on each. */
async function verify(readPercent: number, boot: BootCheck | null = null, guest: string | null = null) {
  const told = new Map<string, RunFigures>();
  const dependencies = { pool: inProcessPool, now: () => new Date('2026-11-24T04:00:00Z') };
  const done = (name: string, figures: RunFigures) => void told.set(name, figures);
  await verifyStore({ guest, readPercent }, session, dependencies, boot, done, context);
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

describe('who watches over a verify is told', () => {
  test('that a guest is verified when its data was read, not when it is only there', async () => {
    expect((await verify(0)).get('web')).toEqual({ readBytes: 0, isVerified: false, hasFailed: false });
    const told = await verify(100);
    expect(told.get('web')).toMatchObject({ isVerified: true, hasFailed: false });
    expect(told.get('web')?.readBytes).toBeGreaterThan(0);
  });

  test('which guest is damaged', async () => {
    losePackOf('web');
    const told = await verify(100);
    expect(told.get('web')).toMatchObject({ isVerified: false, hasFailed: true });
    expect(told.get('mail')).toMatchObject({ isVerified: true, hasFailed: false });
  });

  test('that a guest is verified when it was booted, and only that one', async () => {
    const told = await verify(0, booting('web'));
    expect(told.get('web')).toMatchObject({ isVerified: true, hasFailed: false });
    expect(told.get('mail')).toMatchObject({ isVerified: false, hasFailed: false });
    expect((await verify(0, booting('web'), 'mail')).get('web')).toEqual({ isVerified: true });
  });

  test('that it is not when it did not boot, or another of its snapshots is damaged', async () => {
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
