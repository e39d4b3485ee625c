import { expect, test } from '@jest/globals';
import { noSeal } from '../../../../src/seal/seal-for.ts';
import type { Event } from '../../../../src/events.ts';
import { diffSnapshots } from '../../../../src/operations/stores/diff-snapshots.ts';
import { readChosenSnapshot } from '../../../../src/operations/restore/chosen-snapshot.ts';
import { StoreSession } from '../../../../src/operations/store-access/store-session.ts';
import { GuestFolder } from '../../../../src/repository/guest-folder.ts';
import { markerText } from '../../../../src/repository/keys/store-marker.ts';
import { failureOf } from '../../../support/failures.ts';
import { seededBytes } from '../../../support/images/images.ts';
import { memoryStore } from '../../../support/stores/memory-store.ts';
import { storeSnapshot } from '../../../support/stores/stored-snapshots.ts';

const { signal } = new AbortController();

test('restore, verify --boot and diff never choose a future snapshot as the latest, and suggest a guest’s right name', async () => {
  const events: Event[] = [];
  const context = { signal, report: (event: Event) => void events.push(event) };
  const store = memoryStore();
  store.files.set('vmferry-store.json', Buffer.from(markerText({ id: 'ab'.repeat(16), encryption: null })));
  const folder = new GuestFolder(store, 'web', noSeal);
  const ids: string[] = [];
  for (const [index, day] of ['2026-11-22', '2026-11-23', '2031-01-01'].entries()) {
    const image = seededBytes(index, 65_536);
    ids.push((await storeSnapshot(folder, [{ name: 'web.img', image }], new Date(`${day}T03:00:00Z`))).id);
  }
  const options = {
    passphrase: () => Promise.reject(new Error('it is not encrypted')),
    memory: { recall: () => Promise.resolve(null), remember: () => Promise.resolve() },
    now: () => new Date('2026-11-24T04:00:00Z'),
  };
  const session = await StoreSession.open(store, options, context);
  const { snapshot } = await readChosenSnapshot({ guest: 'web', when: 'latest' }, session, context);
  expect(snapshot.id).toBe(ids[1]);
  const chosen = (guest: string) =>
    failureOf(() => readChosenSnapshot({ guest, when: 'latest' }, session, context));
  expect(await chosen('webb')).toMatchObject({
    code: 'snapshot-missing',
    message: 'The store has no snapshot of webb. Did you mean web?',
  });
  expect(await chosen('web@soon')).toMatchObject({
    code: 'usage',
    message: expect.stringContaining('"soon"'),
  });
  events.length = 1;
  const { to } = await diffSnapshots({ guest: 'web', from: ids[0] ?? '', to: 'latest' }, session, context);
  expect(to).toBe(ids[1]);
  const warnings = events.flatMap((event) => (event.type === 'warning' ? [event.message] : []));
  expect(warnings).toHaveLength(2);
  expect(warnings[0]).toContain(`web@${ids[2]}`);
});
