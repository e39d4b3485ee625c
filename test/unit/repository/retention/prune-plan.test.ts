import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { chunkId } from '../../../../src/chunk/chunk-id.ts';
import { LiveChunks } from '../../../../src/repository/chunk-index/live-chunks.ts';
import { ChunkCover, planPacks, type PlannedPack } from '../../../../src/repository/retention/prune-plan.ts';

function idOf(number: number): Uint8Array {
  return chunkId(Buffer.from(String(number)));
}

/** A pack of chunks of 100 plain bytes each, which also take 100 bytes in the pack. */
function packOf(
  name: string,
  numbers: readonly number[] | null,
  more: Partial<PlannedPack> = {},
): PlannedPack {
  const sizeBytes = (numbers?.length ?? 1) * 100;
  const chunks = {
    ids: Buffer.concat((numbers ?? []).map(idOf)),
    lengths: Uint32Array.from(numbers ?? [], () => 100),
  };
  const frames = [{ offsetBytes: 512, sizeBytes, chunks }];
  const content = numbers === null ? null : { id: name, sizeBytes, frames };
  return { id: name, sizeBytes, modifiedMs: 0, isDamaged: false, content, ...more };
}

function coverOf(live: readonly number[], ...packs: (readonly PlannedPack[])[]): ChunkCover {
  const chunks = new LiveChunks();
  for (const number of live) chunks.add(idOf(number));
  const cover = new ChunkCover(chunks);
  for (const group of packs) cover.add(group);
  return cover;
}

const options = { olderThanMs: 10, maxWaste: 0.2 };

function planned(live: readonly number[], packs: readonly PlannedPack[], more: Partial<typeof options> = {}) {
  const plan = planPacks(packs, coverOf(live, packs), { ...options, ...more });
  return { unneeded: plan.unneeded.map(({ id }) => id), toRewrite: plan.toRewrite.map(({ id }) => id) };
}

describe('planPacks', () => {
  test('gives up packs that are not needed, or whose chunks other packs have', () => {
    const packs = [packOf('a', [1, 2, 3]), packOf('b', [2, 3]), packOf('c', [9])];
    expect(planned([1, 2, 3], packs).unneeded).toEqual(['b', 'c']);
  });

  test('takes chunks from sound packs rather than from damaged ones, whatever their size', () => {
    const packs = [packOf('a', [1, 2, 3], { isDamaged: true }), packOf('b', [1, 2, 3])];
    expect(planned([1, 2], packs).unneeded).toEqual(['a']);
    expect(planned([1, 2], packs.slice(0, 1))).toEqual({ unneeded: [], toRewrite: [] });
  });

  test('leaves young packs alone', () => {
    const young = { modifiedMs: 11 };
    expect(planned([1], [packOf('a', [1, 2, 3, 4], young), packOf('b', [9], young)])).toEqual({
      unneeded: [],
      toRewrite: [],
    });
  });

  test('keeps packs that no index names as long as chunks are missing', () => {
    expect(planned([1], [packOf('a', null)]).unneeded).toEqual([]);
    expect(planned([1], [packOf('a', null), packOf('b', [1])]).unneeded).toEqual(['a']);
  });

  test('rewrites the most wasteful packs until the waste is below the limit', () => {
    const packs = [
      packOf('a', [1, 2, 3, 4, 5]),
      packOf('b', [6, 7, 8, 9]),
      packOf('c', [10, 11, 12, 13, 14]),
    ];
    // One chunk of a is needed, two of b, and all but one of c.
    const live = [1, 6, 7, 10, 11, 12, 13];
    expect(planned(live, packs).toRewrite).toEqual(['a', 'b']);
    expect(planned(live, packs, { maxWaste: 0.35 }).toRewrite).toEqual(['a']);
    expect(planned(live, packs, { maxWaste: 0.5 }).toRewrite).toEqual([]);
    expect(planned(live, packs, { maxWaste: 0 }).toRewrite).toEqual(['a', 'b', 'c']);
  });
});

describe('ChunkCover', () => {
  test('takes from the trash only chunks that are not in packs in their place', () => {
    const cover = coverOf([1, 2], [packOf('a', [1])], [packOf('t', [1, 2]), packOf('u', [1])]);
    expect(cover.uncoveredCount).toBe(0);
    expect(cover.useOf('t')?.usedBytes).toBe(100);
    expect(cover.useOf('u')?.usedBytes).toBe(0);
    expect(cover.isTakenFrom('t', idOf(2))).toBe(true);
    expect(cover.isTakenFrom('t', idOf(1))).toBe(false);
  });

  const numbers = fc.uniqueArray(fc.nat(20), { maxLength: 8 });
  test('keeps all needed chunks that were there, whichever packs are removed', () => {
    fc.assert(
      fc.property(
        numbers,
        fc.array(numbers, { maxLength: 8 }),
        fc.array(fc.boolean()),
        (live, groups, damage) => {
          const packs = groups.map((group, number) =>
            packOf(String(number), group, { isDamaged: damage[number] ?? false }),
          );
          const cover = coverOf(live, packs);
          const given = new Set(planPacks(packs, cover, options).unneeded.map(({ id }) => id));
          const left = groups.filter((_, number) => !given.has(String(number))).flat();
          const there = live.filter((number) => groups.flat().includes(number));
          expect(left).toEqual(expect.arrayContaining(there));
          expect(cover.uncoveredCount).toBe(live.length - there.length);
        },
      ),
    );
  });
});
