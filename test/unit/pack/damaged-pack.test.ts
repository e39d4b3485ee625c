import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { readPack } from '../../../src/pack/read-pack.ts';
import { chunkGridFor } from '../../../src/chunk/chunk-grid.ts';
import { bestZstd } from '../../../src/codec/zstd.ts';
import { Failure } from '../../../src/failure.ts';
import { peakMemoryBytes } from '../../support/programs/peak-memory.ts';
import {
  frameOf,
  inPieces,
  packBytes,
  readAll,
  sha256,
  tarMembersOf,
  tarOf,
  type TarMember,
} from '../../support/stores/packs.ts';

const CHUNK = 65536;
const imageBytes = 40 * CHUNK + 1024;
const grid = chunkGridFor(imageBytes);
const zstd = bestZstd();

function chunk(seed: number, length = CHUNK): Uint8Array {
  return Buffer.alloc(length, `chunk ${seed} `);
}

let good: { id: string; bytes: Buffer };
let members: TarMember[];

beforeAll(async () => {
  const frames = [
    frameOf(
      new Map([
        [0, chunk(0)],
        [1, chunk(1)],
        [7, chunk(7)],
      ]),
      zstd,
    ),
    frameOf(
      new Map([
        [9, chunk(9)],
        [40, chunk(40, 1024)],
      ]),
      zstd,
    ),
  ];
  good = await packBytes(frames);
  members = tarMembersOf(good.bytes);
});

async function expectRefused(bytes: Uint8Array): Promise<Failure> {
  let thrown: unknown = null;
  try {
    await readAll(sha256(bytes), [bytes], grid);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(Failure);
  expect(thrown).toHaveProperty('code', 'pack-damaged');
  return thrown as Failure;
}

/** A pack with changed members. Its id is right, so that only the reader's own checks can refuse it. */
async function forged(change: (members: TarMember[]) => TarMember[]): Promise<Buffer> {
  return tarOf(change(members.map((member) => ({ ...member }))));
}

/** Makes the checksum of a changed header right again. */
function resealed(header: Buffer): void {
  header.fill(' ', 148, 156);
  const sum = header.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
}

test('the function that forges packs makes a good pack if nothing is changed', async () => {
  const bytes = await forged((same) => same);
  expect(await readAll(sha256(bytes), inPieces(bytes), grid)).toHaveLength(2);
});

/**
 * The bytes must be refused, or read as a pack, whose chunks are later compared with their ids. Nothing else may
 * happen.
 */
async function expectNoHarm(bytes: Uint8Array, places: number[] = []): Promise<void> {
  try {
    const frames = await readAll(good.id, inPieces(bytes, places), grid);
    expect(frames.length).toBeLessThanOrEqual(2);
  } catch (error) {
    expect(error).toHaveProperty('code', 'pack-damaged');
  }
}

describe('a pack damaged on its way does no harm:', () => {
  test('any byte changed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        fc.array(fc.nat(), { maxLength: 3 }),
        async (place, change, places) => {
          const bytes = Buffer.from(good.bytes);
          bytes[place % bytes.length] = (bytes[place % bytes.length] ?? 0) ^ change;
          await expectNoHarm(bytes, places);
        },
      ),
      { numRuns: 200 },
    );
  });

  test('any bit of a header changed', async () => {
    for (const header of [0, 1024]) {
      for (let bit = 0; bit < 512 * 8; bit += 13) {
        const bytes = Buffer.from(good.bytes);
        bytes[header + (bit >> 3)] = (bytes[header + (bit >> 3)] ?? 0) ^ (1 << (bit & 7));
        await expectNoHarm(bytes);
      }
    }
  });

  test('cut off anywhere', async () => {
    for (let length = 0; length < good.bytes.length; length += 256)
      await expectNoHarm(good.bytes.subarray(0, length));
  });

  test('with more bytes at its end', async () => {
    await expectNoHarm(Buffer.concat([good.bytes, Buffer.alloc(512)]));
    await expectNoHarm(Buffer.concat([good.bytes, good.bytes]));
  });

  test('replaced by noise: refused', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 3000 }), async (bytes) => {
        await expectRefused(bytes);
      }),
    );
  });
});

describe('a well-formed tar file with', () => {
  test('cut off at a member is refused, unless whole frames are left', async () => {
    for (let count = 0; count < members.length; count++) {
      const bytes = await forged((all) => all.slice(0, count));
      if (count % 2 === 1)
        expect(await readAll(sha256(bytes), inPieces(bytes), grid)).toHaveLength((count - 1) / 2);
      else await expectRefused(bytes);
    }
  });

  test.each<[string, (all: TarMember[]) => TarMember[]]>([
    ['no member that names the format', (all) => all.slice(1)],
    [
      'another version',
      ([first, ...rest]) => [{ ...first, name: 'vmferry-pack', content: 'vmferry-pack 2\n' }, ...rest],
    ],
    [
      'a longer first member',
      ([first, ...rest]) => [{ ...first, name: 'vmferry-pack', content: 'vmferry-pack 1\n\n' }, ...rest],
    ],
    ['a table missing', (all) => all.toSpliced(1, 1)],
    ['a frame missing', (all) => all.toSpliced(2, 1)],
    ['the first frame missing', (all) => all.toSpliced(1, 2)],
    ['a frame before its table', (all) => all.toSpliced(1, 2, ...all.slice(1, 3).toReversed())],
    ['its frames in another order', (all) => [...all.slice(0, 1), ...all.slice(3), ...all.slice(1, 3)]],
    ['a table twice', (all) => all.toSpliced(1, 0, ...all.slice(1, 2))],
    ['a frame twice', (all) => all.toSpliced(2, 0, ...all.slice(2, 3))],
    ['the format twice', (all) => all.toSpliced(1, 0, ...all.slice(0, 1))],
    ['a member more', (all) => [...all, { name: 'README', content: 'hello' }]],
    ['a name with a directory', (all) => all.map((member) => ({ ...member, name: `./${member.name}` }))],
    ['a directory', (all) => all.toSpliced(1, 0, { name: 'directory/', type: 'directory', content: '' })],
    [
      'a symbolic link',
      (all) =>
        all.toSpliced(1, 1, { name: '00000.table', type: 'symlink', linkname: '/etc/passwd', content: '' }),
    ],
    [
      'a hard link',
      (all) =>
        all.toSpliced(1, 1, { name: '00000.table', type: 'link', linkname: 'vmferry-pack', content: '' }),
    ],
    ['a device', (all) => all.toSpliced(1, 1, { name: '00000.table', type: 'block-device', content: '' })],
    ['a FIFO', (all) => all.toSpliced(1, 1, { name: '00000.table', type: 'fifo', content: '' })],
    ['an oversized table', (all) => all.with(1, { name: '00000.table', content: Buffer.alloc(2 ** 20 + 1) })],
    ['an oversized frame', (all) => all.with(2, { name: '00000.zst', content: Buffer.alloc(2 ** 21 + 1) })],
  ])('%s is refused', async (_, change) => {
    await expectRefused(await forged(change));
  });

  test('a member that claims to be huge is refused before memory is taken for it', async () => {
    const before = peakMemoryBytes();
    const bytes = Buffer.from(good.bytes);
    bytes.write('77777777777\0', 512 + 512 + 124, 'latin1');
    resealed(bytes.subarray(1024, 1536));
    const { message } = await expectRefused(bytes);
    expect(message).toContain('00000.table');
    expect(peakMemoryBytes() - before).toBeLessThan(2 ** 28);
  });

  test.each([
    ['another name', 'path=00000.zst'],
    ['no size', 'size=0'],
    ['a size that is no number', 'size=many'],
    ['a negative size', 'size=-1'],
    ['a huge size', 'size=9999999999999'],
    ['a sparse map', 'GNU.sparse.major=1'],
  ])('an extended header that gives a member %s is read or refused, and does no harm', async (_, record) => {
    const length = record.length + 2 + String(record.length).length;
    const line = `${length + (String(length).length > String(record.length).length ? 1 : 0)} ${record}\n`;
    const bytes = await forged((all) => all.toSpliced(1, 0, { name: 'PaxHeader', content: line }));
    bytes[1024 + 156] = 'x'.charCodeAt(0);
    resealed(bytes.subarray(1024, 1536));
    if (record.startsWith('GNU')) {
      // an extended header that changes nothing that counts: other fields are ignored
      expect(await readAll(sha256(bytes), inPieces(bytes), grid)).toHaveLength(2);
    } else await expectRefused(bytes);
  });

  const id0 = sha256(chunk(0));
  test.each([
    ['nothing', ''],
    ['only a line end', '\n'],
    ['no line end', `0 ${id0} ${CHUNK}`],
    ['a chunk beyond the image', `41 ${id0} ${CHUNK}\n`],
    ['a chunk far beyond', `9999999999999999 ${id0} ${CHUNK}\n`],
    ['a negative position', `-1 ${id0} ${CHUNK}\n`],
    ['a position with a point', `0.5 ${id0} ${CHUNK}\n`],
    ['a position with a leading zero', `00 ${id0} ${CHUNK}\n`],
    ['an exponent', `1e1 ${id0} ${CHUNK}\n`],
    ['a chunk that is too long', `0 ${id0} ${CHUNK + 512}\n`],
    ['a chunk that is too short', `0 ${id0} ${CHUNK - 512}\n`],
    ['a chunk of no bytes', `0 ${id0} 0\n`],
    ['the last chunk longer than the image', `40 ${id0} ${CHUNK}\n`],
    ['a chunk twice', `0 ${id0} ${CHUNK}\n0 ${id0} ${CHUNK}\n`],
    ['positions in another order', `1 ${id0} ${CHUNK}\n0 ${id0} ${CHUNK}\n`],
    ['an id in capitals', `0 ${id0.toUpperCase()} ${CHUNK}\n`],
    ['an id that is too short', `0 ${id0.slice(1)} ${CHUNK}\n`],
    ['a fourth field', `0 ${id0} ${CHUNK} 0\n`],
    ['carriage returns', `0 ${id0} ${CHUNK}\r\n`],
    ['an empty line', `0 ${id0} ${CHUNK}\n\n`],
    [
      'more chunks than a frame may hold',
      Array.from({ length: 17 }, (_, n) => `${n} ${id0} ${CHUNK}\n`).join(''),
    ],
  ])('a table with %s is refused', async (_, content) => {
    await expectRefused(await forged((all) => all.with(1, { name: '00000.table', content })));
  });
});

test('a pack of a larger image is refused', async () => {
  const smaller = chunkGridFor(CHUNK);
  await expect(readAll(good.id, [good.bytes], smaller)).rejects.toHaveProperty('code', 'pack-damaged');
});

test('a reader may stop after the first frame', async () => {
  for await (const frame of readPack(good.id, [good.bytes], grid)) {
    expect(frame.chunks).toHaveLength(3);
    break;
  }
});
