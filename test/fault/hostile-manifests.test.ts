import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { listingText } from '../../src/cli/texts/list-text.ts';
import { createPaint } from '../../src/cli/terminal/paint.ts';
import { createLinesReporter } from '../../src/cli/reporters/lines.ts';
import { listStore } from '../../src/operations/stores/list-store.ts';
import { prune } from '../../src/operations/prune/prune.ts';
import { verifyStore } from '../../src/operations/verify/verify-store.ts';
import { digestedText } from '../../src/repository/files/digested-json.ts';
import { BackupWorld } from '../support/stores/backup-world.ts';
import { failureOf } from '../support/failures.ts';
import { seededBytes } from '../support/images/images.ts';
import { inProcessPool } from '../support/in-process-pool.ts';
import { memoryStoreOf, type MemoryStore } from '../support/stores/memory-store.ts';
import { restoreWhole } from '../support/stores/restoring.ts';
import { storeSnapshot } from '../support/stores/stored-snapshots.ts';

const CHUNK = 64 * 1024;

let world: BackupWorld;
let store: MemoryStore;
const image = Buffer.from(seededBytes(1, 4 * CHUNK));
/** Snapshots of web; mail has one snapshot too. */
let ids: string[];

beforeEach(async () => {
  world = new BackupWorld();
  mkdirSync(join(world.path, 'back'));
  const session = await world.session();
  ids = [];
  for (const day of [22, 23]) {
    const at = new Date(`2026-11-${day}T03:00:00Z`);
    ids.push((await storeSnapshot(session.folder('web'), [{ name: 'web.img', image }], at)).id);
    await storeSnapshot(session.folder('mail'), [{ name: 'mail.img', image }], at);
  }
  store = memoryStoreOf(world.storePath);
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

/** Replaces the manifest of web's first snapshot by another one, with a correct digest. */
function rewrite(change: (manifest: Manifest) => void): void {
  const name = `guests/web/snapshots/${ids[0]}.json`;
  const { digest: _digest, ...manifest } = JSON.parse(
    Buffer.from(store.files.get(name) ?? []).toString(),
  ) as Manifest;
  change(manifest);
  store.files.set(name, Buffer.from(digestedText(manifest)));
}

interface Manifest {
  digest?: string;
  definition: unknown;
  disks: { name: string; modifiedMs: number; uid: number }[];
}

function nested(levels: number): string {
  return `${'['.repeat(levels)}${']'.repeat(levels)}`;
}

test('a manifest nested 50,000 levels deep only makes its own snapshot unusable', async () => {
  rewrite((manifest) => (manifest.definition = '@'));
  const name = `guests/web/snapshots/${ids[0]}.json`;
  const text = Buffer.from(store.files.get(name) ?? []).toString();
  store.files.set(name, Buffer.from(text.replace('"@"', nested(50_000))));
  const session = await world.session(store);

  const { guests } = await listStore(null, session, world.context());
  expect(guests.map(({ guest }) => guest)).toEqual(['mail', 'web']);
  expect(guests[1]?.snapshots).toMatchObject([
    { id: ids[0], state: 'damaged' },
    { id: ids[1], problem: null },
  ]);

  const verified = await verifyStore(
    { guest: null, readPercent: 100, boot: null },
    session,
    { pool: inProcessPool, now: () => new Date('2026-11-25T04:00:00Z') },
    () => undefined,
    world.context(),
  );
  expect(verified.report.guests[1]?.damaged).toEqual([{ snapshot: ids[0], disks: [] }]);
  expect(verified.failure).toMatchObject({ code: 'store-damaged' });

  const target = join(world.path, 'back', 'web.img');
  await restoreWhole(world, `web@${ids[1]}`, target, { store });
  expect(readFileSync(target).equals(image)).toBe(true);
  const failure = await failureOf(() =>
    restoreWhole(world, `web@${ids[0]}`, join(world.path, 'no.img'), { store }),
  );
  expect(failure.code).toBe('store-damaged');

  const files = [...store.files.keys()].filter((file) => file.startsWith('guests/web/'));
  const pruned = await prune(
    { guest: null, dryRun: false, rules: { last: 1 }, graceMs: 0, maxWaste: 1 },
    session,
    {
      now: () => new Date('2026-11-25T04:00:00Z'),
      timeZone: 'UTC',
      randomHex: (digits) => '0'.repeat(digits),
    },
    world.context(),
  );
  expect(pruned.guests).toMatchObject([
    { guest: 'mail', failure: null, removed: [expect.any(String)] },
    { guest: 'web', failure: { code: 'store-damaged' }, removed: [] },
  ]);
  // It is unknown what the damaged snapshot needs: no data of its guest is removed.
  expect([...store.files.keys()].filter((file) => file.startsWith('guests/web/'))).toEqual(files);
});

test('list does not print the terminal escapes in a manifest', async () => {
  rewrite((manifest) => Object.assign(manifest, { '\u001b[2J\u202Ekey\r\nweb: all is well': 1 }));
  const listing = await listStore(null, await world.session(store), world.context());
  let shown = '';
  const stdout = { write: (text: string) => void (shown += text) };
  const options = { stdout, stderr: stdout, paint: createPaint(false), verbose: false, now: () => 0 };
  createLinesReporter(options).succeeded({ record: listing, text: listingText(listing) });
  expect(shown).toContain('\\x1b[2J\\u202ekey');
  // oxlint-disable-next-line no-control-regex -- these are what must not be printed
  expect(shown).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202E]/);
});

test('an impossible time, owner or size of a file is restored as closely as possible', async () => {
  rewrite(({ disks: [disk] }) => {
    if (disk !== undefined) Object.assign(disk, { modifiedMs: 1e300, uid: 2 ** 40 });
  });
  const target = join(world.path, 'back', 'web.img');
  await restoreWhole(world, `web@${ids[0]}`, target, { store });
  expect(readFileSync(target).equals(image)).toBe(true);
  expect(statSync(target).mtimeMs).toBeGreaterThan(Date.parse('2100-01-01'));
});

test('a disk whose name is too long for a file is restored under a shorter name', async () => {
  rewrite(({ disks: [disk] }) => {
    if (disk !== undefined) disk.name = 'é'.repeat(240);
  });
  const directory = join(world.path, 'back');
  const failure = await failureOf(() => restoreWhole(world, `web@${ids[0]}`, directory, { store }));
  expect(failure).toMatchObject({
    code: 'target-not-writable',
    advice: expect.stringContaining('--to FILE'),
  });
  expect(readdirSync(directory)).toEqual([]);
  await restoreWhole(world, `web@${ids[0]}`, join(directory, 'short.img'), { store });
  expect(readFileSync(join(directory, 'short.img')).equals(image)).toBe(true);
});
