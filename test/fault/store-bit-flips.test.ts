import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { Context, Event } from '../../src/events.ts';
import { decompressText } from '../../src/codec/compressed-text.ts';
import { Failure } from '../../src/failure.ts';
import { StoreSession } from '../../src/operations/store-access/store-session.ts';
import { verifyStore } from '../../src/operations/verify/verify-store.ts';
import type { RememberedStore, StoreMemory } from '../../src/repository/store-memory.ts';
import { BackupWorld, TEST_PASSPHRASE } from '../support/stores/backup-world.ts';
import { runTool, scratchDirectory, seededBytes } from '../support/images/images.ts';
import { inProcessPool } from '../support/in-process-pool.ts';
import { memoryStoreOf, type MemoryStore } from '../support/stores/memory-store.ts';
import { restoreWhole } from '../support/stores/restoring.ts';
import { seededRandom, testSeed } from '../support/seeded-random.ts';
import { describeWithTools } from '../support/programs/tools.ts';

const FLIPS = 1000;
/** Restoring takes longer than verifying, so only this many snapshots, chosen at random, are restored. */
const RESTORED_ONE_IN = 40;
const MIB = 2 ** 20;

describeWithTools('a store in which single bits flip', ['mke2fs', 'debugfs'], () => {
  describe.each([
    ['plain', false],
    ['encrypted', true],
  ])('%s', (_, encrypt) => {
    test(`${FLIPS} flips: each is found, and none makes a wrong image`, async () => {
      const seed = testSeed();
      await using world = new BackupWorld({ encrypt });
      const images = await backUpThreeTimes(world);
      const store = memoryStoreOf(world.storePath);
      const flipping = new Flipping(store, encrypt);
      const random = seededRandom(seed);
      const unseen: string[] = [];
      const wrong: string[] = [];
      let rightImages = 0;
      expect(await flipping.whatIsFound('')).toBeNull();
      for (let flip = 0; flip < FLIPS; flip++) {
        const { name, bit } = chooseBit(store.files, random, flip % 2 === 0);
        const whole = new Map(store.files);
        store.files.set(name, withBitFlipped(store.files.get(name), bit));
        const isHarmless = isForPeopleOnly(name, whole, bit >> 3) || isSameText(name, whole, store.files);
        const found = await flipping.whatIsFound(name);
        if (found === null && !isHarmless) unseen.push(`${name}, bit ${bit & 7} of byte ${bit >> 3}`);
        const isRestored = found === null || random() < 1 / RESTORED_ONE_IN;
        const image = isRestored ? await restored(world, store, images, flip) : 'failed';
        if (image === 'wrong') wrong.push(`${name} bit ${bit}`);
        if (image === 'right') rightImages++;
        store.files.clear();
        for (const [file, bytes] of whole) store.files.set(file, bytes);
      }
      expect({ seed, wrong }).toEqual({ seed, wrong: [] });
      // Most bits belong to one snapshot or to none: the other snapshots can still be restored.
      expect(rightImages).toBeGreaterThan(0);
      expect({ seed, unseen }).toEqual({ seed, unseen: [] });
    }, 180_000);
  });
});

interface BackedUp {
  snapshot: string;
  image: Buffer;
}

/** A file system that the guest changes a little before each backup. */
async function backUpThreeTimes(world: BackupWorld): Promise<BackedUp[]> {
  const image = join(world.path, 'web.img');
  using content = scratchDirectory();
  mkdirSync(join(content.path, 'etc'));
  writeFileSync(join(content.path, 'random'), seededBytes(5, MIB));
  writeFileSync(
    join(content.path, 'etc', 'text'),
    'The quick brown fox jumps over the lazy dog.\n'.repeat(9999),
  );
  runTool('mke2fs', ['-q', '-t', 'ext4', '-b', '1024', '-d', content.path, image, '8M']);
  const backedUp: BackedUp[] = [];
  for (const change of [1, 2, 3]) {
    writeFileSync(join(content.path, 'change'), seededBytes(change, 100_000 * change));
    runTool('debugfs', ['-w', '-f', '-', image], `write ${join(content.path, 'change')} /change-${change}\n`);
    const { guests } = await world.backup(image, { everyBlock: true });
    backedUp.push({ snapshot: guests[0]?.snapshot ?? '', image: readFileSync(image) });
  }
  return backedUp;
}

/** Chooses any file with equal probability, so that small files have their share; or any byte with equal probability. */
function chooseBit(files: MemoryStore['files'], random: () => number, byFile: boolean) {
  const named = [...files].filter(([, bytes]) => bytes.length > 0);
  const below = (limit: number) => Math.floor(random() * limit);
  if (byFile) {
    const [name, bytes] = named[below(named.length)] ?? ['', Buffer.alloc(0)];
    return { name, bit: below(bytes.length * 8) };
  }
  let bit = below(8 * named.reduce((sum, [, bytes]) => sum + bytes.length, 0));
  for (const [name, bytes] of named) {
    if (bit < bytes.length * 8) return { name, bit };
    bit -= bytes.length * 8;
  }
  throw new Error('no such bit');
}

function withBitFlipped(bytes: Uint8Array | undefined, bit: number): Uint8Array {
  const flipped = Buffer.from(bytes ?? []);
  flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return flipped;
}

/**
 * Bits that no digest covers. In the files of keys: when a key was made and its label, which only `vmferry key list` reads; and
 * the unused bits in the last digit of a base64 text.
 */
function isForPeopleOnly(name: string, files: MemoryStore['files'], byte: number): boolean {
  if (!name.startsWith('keys/')) return false;
  const text = Buffer.from(files.get(name) ?? []).toString('latin1');
  const unused = /(?<="createdAt": ")[^"]*|(?<="label": ")[^"]*|[A-Za-z0-9+/](?==+")/g;
  return [...text.matchAll(unused)].some(({ 0: part, index }) => byte >= index && byte < index + part.length);
}

/**
 * Maps, indexes and records are named by digests of their texts, and zstd can write one text in several ways: a few bits of
 * the compressed file do not change the text.
 */
function isSameText(name: string, before: MemoryStore['files'], after: MemoryStore['files']): boolean {
  if (!name.endsWith('.zst')) return false;
  const textOf = (files: MemoryStore['files']) =>
    decompressText(files.get(name) ?? Buffer.alloc(0), 64 * MIB, name);
  try {
    return textOf(before) === textOf(after);
  } catch {
    return false;
  }
}

/** Verifies one store again and again. */
class Flipping {
  readonly #store: MemoryStore;
  readonly #isEncrypted: boolean;
  #session: StoreSession | null = null;
  /** The findings before any bit was flipped. */
  #remembered: RememberedStore | null = null;

  constructor(store: MemoryStore, isEncrypted: boolean) {
    this.#store = store;
    this.#isEncrypted = isEncrypted;
  }

  /** What is wrong according to a full verify; null: nothing. */
  async whatIsFound(changedFile: string): Promise<string | null> {
    const events: Event[] = [];
    const context = {
      signal: new AbortController().signal,
      report: (event: Event) => void events.push(event),
    };
    try {
      const session = await this.#open(changedFile, context);
      const { failure } = await verifyStore(
        { guest: null, readPercent: 100, boot: null },
        session,
        { pool: inProcessPool, now: () => new Date('2026-11-25T04:00:00Z') },
        () => undefined,
        context,
      );
      if (failure !== null) return failure.message;
    } catch (error) {
      if (error instanceof Failure && error.code !== 'internal') return error.message;
      throw error;
    }
    const doubt = events.find((event) => event.type === 'warning' && event.code === 'store-went-back');
    return doubt?.type === 'warning' ? doubt.message : null;
  }

  /** Deriving a key takes time: the passphrase is tried again only if the marker or a key has changed. */
  async #open(changedFile: string, context: Context): Promise<StoreSession> {
    const isGuests = changedFile.startsWith('guests/');
    if (isGuests && this.#isEncrypted && this.#session !== null) return this.#session;
    const remembered = this.#remembered;
    const memory: StoreMemory = {
      recall: () => Promise.resolve(remembered),
      remember: (_location, { id, isEncrypted }) => {
        this.#remembered ??= { file: '/home/web/store.json', id, isEncrypted, newest: new Map() };
        return Promise.resolve();
      },
    };
    const passphrase = () => Promise.resolve(TEST_PASSPHRASE);
    const session = await StoreSession.open(this.#store, { passphrase, memory }, context);
    this.#session ??= session;
    return session;
  }
}

/** The result of restoring one of the snapshots. */
async function restored(
  world: BackupWorld,
  store: MemoryStore,
  images: readonly BackedUp[],
  flip: number,
): Promise<'right' | 'wrong' | 'failed'> {
  const { snapshot, image } = images[flip % images.length] ?? { snapshot: '', image: Buffer.alloc(0) };
  const target = join(world.path, `restored-${flip}.img`);
  try {
    await restoreWhole(world, `web.img@${snapshot}`, target, { store });
  } catch (error) {
    if (error instanceof Failure && error.code !== 'internal') return 'failed';
    throw error;
  }
  const isRight = readFileSync(target).equals(image);
  rmSync(target);
  return isRight ? 'right' : 'wrong';
}
