import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Pack } from '../../../src/pack/pack.ts';
import { packedRowsOf } from '../../../src/pack/pack-layout.ts';
import type { SealKey } from '../../../src/seal/seal.ts';
import { FramePool } from '../../../src/workers/frame-pool.ts';
import type { CheckResult, SealedFrame } from '../../../src/workers/jobs.ts';
import { captureFile, frameWorkerUrl } from '../../support/assembly.ts';
import { scratchDirectory, seededBytes } from '../../support/images/images.ts';

const CHUNK = 65536;
const CHUNKS = 40;
const key = Buffer.alloc(32, 'a key');

const pool = new FramePool(frameWorkerUrl, 1);
afterAll(async () => {
  await pool[Symbol.asyncDispose]();
});

let plain: Pack;
let sealed: Pack;
beforeAll(async () => {
  using scratch = scratchDirectory();
  const path = join(scratch.path, 'image');
  writeFileSync(path, seededBytes(1, CHUNKS * CHUNK));
  [plain, sealed] = (await Promise.all(
    [null, key].map(async (sealKey) => onlyPack((await captureFile(path, pool, { sealKey })).packs)),
  )) as [Pack, Pack];
});

function onlyPack([pack, ...others]: Pack[]): Pack {
  if (pack === undefined || others.length > 0) throw new Error('this image fits into one pack');
  return pack;
}

function idsOf(result: CheckResult): string[] {
  const hex = Buffer.from(result.good.ids).toString('hex');
  return Array.from({ length: hex.length / 64 }, (_, row) => hex.slice(row * 64, row * 64 + 64));
}

/** The ids of the chunks in these frames, by the pack's layout. */
function idsIn(pack: Pack, frames: readonly number[]): string[] {
  return frames.flatMap((frame) =>
    [...packedRowsOf((pack.frames[frame] as Pack['frames'][number]).chunks)].map(({ id }) =>
      Buffer.from(id).toString('hex'),
    ),
  );
}

async function check(pack: Pack, change: (bytes: Uint8Array) => Uint8Array, sealKey: SealKey) {
  const packParts = [change(new Uint8Array(pack.bytes))];
  return pool.run({ kind: 'check', packId: pack.id, packParts, sealKey });
}

function withByteChanged(place: number) {
  return (bytes: Uint8Array) => {
    bytes[place] = (bytes[place] ?? 0) ^ 1;
    return bytes;
  };
}

const frameNumbers = [0, 1, 2];
const kinds = [
  { name: 'plain', of: () => plain, sealKey: null },
  { name: 'sealed', of: () => sealed, sealKey: key },
];

describe.each(kinds)('checking a $name pack', ({ of, sealKey }) => {
  test('finds all chunks of a good pack', async () => {
    const result = await check(of(), (bytes) => bytes, sealKey);
    expect(result).toMatchObject({ damage: null, plainBytes: CHUNKS * CHUNK });
    expect(idsOf(result)).toEqual(idsIn(of(), frameNumbers));
  });

  test('finds a changed byte anywhere, and reports only good chunks as good', async () => {
    const pack = of();
    const all = new Set(idsIn(pack, frameNumbers));
    for (let place = 0; place < pack.bytes.length; place += 49_999) {
      const result = await check(pack, withByteChanged(place), sealKey);
      expect(result.damage).toBe(`The pack ${pack.id.slice(0, 12)}… does not match its SHA-256.`);
      expect(idsOf(result).filter((id) => !all.has(id))).toEqual([]);
    }
  });

  test('finds the good frames beside a damaged one, by their offsets', async () => {
    const pack = of();
    const middle = pack.frames[1] as Pack['frames'][number];
    const damaged = withByteChanged(middle.offsetBytes + (middle.sizeBytes >> 1))(new Uint8Array(pack.bytes));
    const frames: SealedFrame[] = pack.frames.map(({ offsetBytes, sizeBytes, chunks }) => ({
      bytes: damaged.slice(offsetBytes, offsetBytes + sizeBytes),
      chunks: [...packedRowsOf(chunks)],
    }));
    const result = await pool.run({ kind: 'check-frames', frames, sealKey });
    expect(result.damage).toMatch(/^A frame .*\.$/);
    const good = idsIn(pack, [0, 2]);
    // Noise does not compress, so a changed byte in a plain frame does not affect its other chunks.
    expect(idsOf(result)).toEqual(expect.arrayContaining(good));
    expect(idsOf(result).length).toBeLessThan(CHUNKS);
  });

  test('finds the frames before the place where a pack is cut off', async () => {
    const pack = of();
    const last = pack.frames[2] as Pack['frames'][number];
    const result = await check(pack, (bytes) => bytes.slice(0, last.offsetBytes + 100), sealKey);
    expect(result.damage).not.toBeNull();
    expect(idsOf(result)).toEqual(idsIn(pack, [0, 1]));
  });

  test('finds nothing in a file that is not a pack', async () => {
    const result = await check(of(), () => Buffer.alloc(100_000, 'noise'), sealKey);
    expect(result).toMatchObject({ plainBytes: 0 });
    expect(result.damage).not.toBeNull();
    expect(result.good.ids).toHaveLength(0);
  });
});

test('a pack that matches its name may hold chunks that do not match their ids', async () => {
  const bytes = withByteChanged((plain.frames[0]?.offsetBytes ?? 0) + 1000)(new Uint8Array(plain.bytes));
  const packId = createHash('sha256').update(bytes).digest('hex');
  const result = await pool.run({ kind: 'check', packId, packParts: [bytes], sealKey: null });
  expect(result.damage).toContain(packId.slice(0, 12));
  expect(idsOf(result).length).toBeLessThan(CHUNKS);
  expect(idsOf(result)).toEqual(expect.arrayContaining(idsIn(plain, [1, 2])));
});

test('a pack that was sealed with another key gives nothing', async () => {
  const result = await check(sealed, (bytes) => bytes, Buffer.alloc(32, 'another'));
  expect(result.damage).toContain('was not sealed with the key of this store');
  expect(result.good.ids).toHaveLength(0);
});
