import { expect, test } from '@jest/globals';
import { chunkGridFor } from '../../../../src/chunk/chunk-grid.ts';
import { chunkId } from '../../../../src/chunk/chunk-id.ts';
import { chunkListOf } from '../../../../src/chunk/chunk-list.ts';
import { ChunkMap } from '../../../../src/chunk/chunk-map.ts';
import { ChunksThere, type DiskThere } from '../../../../src/operations/migrate/passes/chunks-there.ts';
import { takeThere } from '../../../../src/operations/migrate/passes/take-there.ts';
import type { MoverMessage, ReceiverMessage } from '../../../../src/wire/messages.ts';
import type { RemoteReceiver } from '../../../../src/wire/remote-receiver.ts';

const CHUNK = 65_536;
const grid = chunkGridFor(8 * CHUNK);
const grant = 'ab'.repeat(32);

function idOf(name: string): Uint8Array {
  return chunkId(Buffer.from(name));
}

/** A disk whose chunks have the names of these letters. */
function mapOf(letters: string): ChunkMap {
  const map = new ChunkMap(grid);
  for (const [position, letter] of letters.split('').entries()) map.set(position, idOf(letter));
  return map;
}

type Taken = Extract<ReceiverMessage, { type: 'taken' }>;

/** A receiver that was asked for chunks, and lacks some. */
function receiverOf(lacking: Taken['lacking'], granted: readonly string[] = []) {
  const asked: MoverMessage[] = [];
  const receiver = {
    machine: { name: 'newhost' },
    grantOf: (path: string) => (granted.includes(path) ? grant : null),
    request(message: MoverMessage) {
      asked.push(message);
      return Promise.resolve({ type: 'taken', lacking });
    },
  } as unknown as RemoteReceiver;
  return { receiver, asked };
}

const diskOf = (receiver: RemoteReceiver, path: string, number = 0, isRaw = true): DiskThere => ({
  receiver,
  number,
  path,
  isRaw,
});

const wanted = chunkListOf(['b', 'c', 'x'].map((letter, position) => ({ position, id: idOf(letter) })));

function knownLetters(disk: DiskThere, chunksThere: ChunksThere): string {
  const known = chunksThere.knownBeside(disk);
  return 'abcxyz'
    .split('')
    .filter((letter) => known?.has(idOf(letter)))
    .join('');
}

async function take(disk: DiskThere, chunksThere: ChunksThere): Promise<number[]> {
  const lacking = await takeThere(wanted, disk, grid, chunksThere, new AbortController().signal);
  return [...lacking].toSorted((one, other) => one - other);
}

test('chunks are taken from open disks by their numbers, and neighbours on both disks are one run', async () => {
  const { receiver, asked } = receiverOf([]);
  const chunksThere = new ChunksThere();
  const disk = diskOf(receiver, '/srv/c', 2);
  expect(chunksThere.knownBeside(disk)).toBeNull();
  chunksThere.note(diskOf(receiver, '/srv/a', 0), mapOf('abc'));
  chunksThere.note(diskOf(receiver, '/srv/b', 1), mapOf('bx'));
  // What a disk has itself is not elsewhere.
  chunksThere.note(disk, mapOf('z'));
  expect(knownLetters(disk, chunksThere)).toBe('abcx');
  expect(await take(disk, chunksThere)).toEqual([]);
  expect(asked).toMatchObject([
    { type: 'take', disk: 2, from: { disk: 0 }, runs: [[0, 1, 2]] },
    { type: 'take', disk: 2, from: { disk: 1 }, runs: [[2, 1, 1]] },
  ]);
  expect(chunksThere.takenBytesOf('/srv/c')).toBe(3 * CHUNK);
});

test('published images are named by their paths and grants; chunks of images that cannot be read there are not known', async () => {
  const earlier = receiverOf([], ['/srv/a', '/srv/b']).receiver;
  const { receiver, asked } = receiverOf([[1, 1]]);
  const chunksThere = new ChunksThere();
  chunksThere.note(diskOf(earlier, '/srv/a'), mapOf('abcx'));
  chunksThere.note(diskOf(earlier, '/srv/b', 1, false), mapOf('y'));
  chunksThere.note(diskOf(earlier, '/srv/not-published', 2), mapOf('z'));
  const disk = diskOf(receiver, '/srv/c');
  expect(knownLetters(disk, chunksThere)).toBe('abcx');
  expect(await take(disk, chunksThere)).toEqual([1]);
  expect(asked).toMatchObject([{ from: { path: '/srv/a', grant }, runs: [[0, 1, 3]] }]);
  expect(chunksThere.takenBytesOf('/srv/c')).toBe(2 * CHUNK);
});

test('chunks that were known are forgotten when their image cannot be read any more', () => {
  const earlier = receiverOf([], ['/srv/a']).receiver;
  const chunksThere = new ChunksThere();
  chunksThere.note(diskOf(earlier, '/srv/a'), mapOf('a'));
  chunksThere.note(diskOf(earlier, '/srv/b', 1, false), mapOf('b'));
  // The receiver has both of them open.
  expect(knownLetters(diskOf(earlier, '/srv/c', 2), chunksThere)).toBe('ab');
  const { receiver } = receiverOf([]);
  expect(knownLetters(diskOf(receiver, '/srv/d'), chunksThere)).toBe('a');
  chunksThere.note(diskOf(receiver, '/srv/d'), mapOf('b'));
  expect(knownLetters(diskOf(receiver, '/srv/e', 1), chunksThere)).toBe('ab');
});

test('a disk whose receiver was lost is read again when another receiver has it', async () => {
  const lost = receiverOf([]).receiver;
  const { receiver, asked } = receiverOf([]);
  const chunksThere = new ChunksThere();
  chunksThere.note(diskOf(lost, '/srv/a'), mapOf('bcx'));
  expect(knownLetters(diskOf(lost, '/srv/c', 1), chunksThere)).toBe('bcx');
  const disk = diskOf(receiver, '/srv/c', 1);
  expect(chunksThere.knownBeside(disk)).toBeNull();
  chunksThere.note(diskOf(receiver, '/srv/a'), mapOf('bcx'));
  expect(knownLetters(disk, chunksThere)).toBe('bcx');
  expect(await take(disk, chunksThere)).toEqual([]);
  expect(asked).toMatchObject([{ from: { disk: 0 }, runs: [[0, 0, 3]] }]);
});

test('a receiver that lacks a chunk which it was not asked for violates the protocol', async () => {
  const { receiver } = receiverOf([[2, 2]]);
  const chunksThere = new ChunksThere();
  chunksThere.note(diskOf(receiver, '/srv/a'), mapOf('bcx'));
  const disk = diskOf(receiver, '/srv/c', 1);
  chunksThere.knownBeside(disk);
  await expect(take(disk, chunksThere)).rejects.toMatchObject({ code: 'protocol-violation' });
});

test('many chunks are asked for in several messages, each with the ids of its own', async () => {
  const many = chunkGridFor(3000 * CHUNK);
  const { receiver, asked } = receiverOf([]);
  const chunksThere = new ChunksThere();
  const wantedMany = Array.from({ length: 3000 }, (_, position) => ({ position, id: idOf(`${position}`) }));
  for (const number of [0, 1]) {
    const map = new ChunkMap(many);
    for (const { position, id } of wantedMany) if (position % 2 === number) map.set(position, id);
    chunksThere.note(diskOf(receiver, `/srv/${number}`, number), map);
  }
  const disk = diskOf(receiver, '/srv/c', 2);
  chunksThere.knownBeside(disk);
  const { signal } = new AbortController();
  expect(await takeThere(chunkListOf(wantedMany), disk, many, chunksThere, signal)).toEqual(new Set());
  const messages = asked.filter((message) => message.type === 'take');
  expect(messages.map(({ from, runs }) => [from, runs.length])).toEqual([
    [{ disk: 0 }, 1024],
    [{ disk: 0 }, 476],
    [{ disk: 1 }, 1024],
    [{ disk: 1 }, 476],
  ]);
  for (const { runs, ids } of messages)
    expect(ids).toBe(Buffer.concat(runs.map(([position]) => idOf(`${position}`))).toString('base64'));
  expect(chunksThere.takenBytesOf('/srv/c')).toBe(3000 * CHUNK);
});
