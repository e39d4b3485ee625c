import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Doubt } from '../../../../../src/image/file-systems/doubt.ts';
import { attributesOf, unprotect, type Run } from '../../../../../src/image/file-systems/ntfs/record.ts';

const RECORD_BYTES = 1024;
const layout = {
  clusterBytes: 4096,
  clusterCount: 2 ** 40,
  recordBytes: RECORD_BYTES,
  tableCluster: 4,
  mirrorCluster: 2,
};

/** The fewest bytes for a signed number, lowest first. */
function pack(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    bytes.push(rest & 0xff ? ((rest % 256) + 256) % 256 : 0);
    rest = Math.floor(rest / 256);
  } while (!(rest === 0 && (bytes.at(-1) ?? 0) < 128) && !(rest === -1 && (bytes.at(-1) ?? 0) >= 128));
  return bytes;
}

/** A sparse run has no cluster. */
type PackedRun = { count: number; cluster: number | null };

function packRuns(runs: readonly PackedRun[]): number[] {
  let last = 0;
  const packed = runs.flatMap(({ count, cluster }) => {
    const length = pack(count);
    if (cluster === null) return [length.length, ...length];
    const step = pack(cluster - last);
    last = cluster;
    return [length.length | (step.length << 4), ...length, ...step];
  });
  return [...packed, 0];
}

/** A record with one attribute of content in these runs. */
function recordWith(runs: readonly PackedRun[]): Buffer {
  const record = Buffer.alloc(RECORD_BYTES);
  const packed = packRuns(runs);
  const length = Math.ceil((64 + packed.length) / 8) * 8;
  record.write('FILE');
  record.writeUInt16LE(48, 4);
  record.writeUInt16LE(3, 6);
  record.writeUInt16LE(56, 20);
  record.writeUInt16LE(1, 22);
  record.writeUInt32LE(56 + length + 8, 24);
  record.writeUInt32LE(0x80, 56);
  record.writeUInt32LE(length, 60);
  record.writeUInt8(1, 64);
  const clusters = runs.reduce((sum, { count }) => sum + count, 0);
  record.writeBigInt64LE(BigInt(clusters) - 1n, 56 + 24);
  record.writeUInt16LE(64, 56 + 32);
  record.set(packed, 56 + 64);
  record.writeUInt32LE(0xffffffff, 56 + length);
  return record;
}

const runLists = fc.array(
  fc.record({
    count: fc.integer({ min: 1, max: 2 ** 36 }),
    cluster: fc.option(fc.integer({ min: 0, max: 2 ** 39 })),
  }),
  { maxLength: 40 },
);

describe('a record of the master file table', () => {
  test('its packed runs are read, sparse ones left out', () => {
    fc.assert(
      fc.property(runLists, (runs) => {
        const [attribute] = attributesOf(recordWith(runs), layout);
        const placed = runs.filter((run): run is Run => run.cluster !== null);
        expect(attribute).toMatchObject({ type: 0x80, hasName: false });
        expect(attribute?.content).toMatchObject({
          first: 0,
          runs: placed.map(({ cluster, count }) => ({ cluster, count })),
          isSparse: placed.length < runs.length,
        });
      }),
    );
  });

  test('a run outside of the file system is doubtful', () => {
    for (const cluster of [-1, 2 ** 40])
      expect(() => attributesOf(recordWith([{ count: 1, cluster }]), layout)).toThrow(Doubt);
  });

  test('with any bytes it is read, or doubtful', () => {
    const changes = fc.array(fc.tuple(fc.nat(199), fc.nat(255)), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(runLists, changes, (runs, bytes) => {
        const record = recordWith(runs);
        for (const [at, value] of bytes) record[at] = value;
        try {
          for (const { content } of attributesOf(record, layout))
            for (const { cluster, count } of content.kind === 'clusters' ? content.runs : [])
              expect(cluster >= 0 && count > 0 && cluster + count <= layout.clusterCount).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(Doubt);
        }
      }),
    );
  });

  test('what protects it is undone, and a torn write is noticed', () => {
    const record = recordWith([{ count: 5, cluster: 7 }]);
    record.writeUInt16LE(0x1234, 48);
    for (const [index, kept] of [0xaaaa, 0xbbbb].entries()) {
      record.writeUInt16LE(kept, 50 + index * 2);
      record.writeUInt16LE(0x1234, (index + 1) * 512 - 2);
    }
    const torn = Buffer.from(record);
    torn.writeUInt16LE(0x1233, 1022);
    unprotect(record, 'FILE');
    expect([record.readUInt16LE(510), record.readUInt16LE(1022)]).toEqual([0xaaaa, 0xbbbb]);
    expect(() => {
      unprotect(torn, 'FILE');
    }).toThrow('was not written completely');
  });
});
