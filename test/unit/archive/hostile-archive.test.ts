import { describe, expect, test } from '@jest/globals';
import { Failure } from '../../../src/failure.ts';
import { BLOCK_BYTES, memberHeader, paxRecord } from '../../../src/archive/tar-header.ts';
import { member, sparseMember, tarOf, withHeader } from '../../support/archives/tar-members.ts';
import { unpackTar } from '../../support/archives/read-back.ts';
import { seededRandom, testSeed } from '../../support/seeded-random.ts';

const data = Buffer.alloc(1024, 'x');
const plain = member('web.img', data);
const whole = sparseMember('web.img', 10_240, '1\n512\n1024\n', data);

/** A header that states a pax header of 100 MB; the bytes themselves need not follow. */
const longPax = withHeader(
  memberHeader({ name: 'x', sizeBytes: 100_000_000, modifiedAt: new Date(0) }),
  156,
  'x',
);

/** A pax header with this content. */
const paxHeader = (content: string) => withHeader(member('x', Buffer.from(content)), 156, 'x');

const binarySize = (bytes: string) => withHeader(member('web.img', data), 124, bytes);

const cases: readonly (readonly [what: string, tar: Buffer, says: string])[] = [
  ['an absolute name', tarOf(member('/etc/passwd', data)), 'not a plain file name'],
  ['a name that climbs', tarOf(member('../web.img', data)), 'not a plain file name'],
  ['a name that climbs later', tarOf(member('a/../../web.img', data)), 'not a plain file name'],
  ['a name in a directory', tarOf(member('a/web.img', data)), 'not a plain file name'],
  ['a hidden name', tarOf(member('.bashrc', data)), 'not a plain file name'],
  ['a name with a line feed', tarOf(member('web\n.img', data)), 'not a plain file name'],
  ['an empty name', tarOf(member('./', data)), 'not a plain file name'],
  [
    'an absolute name of a sparse file',
    tarOf(sparseMember('/dev/sda', 1024, '1\n0\n1024\n', data)),
    'plain file name',
  ],
  [
    'a name that a pax header hides',
    tarOf(member('web.img', data, { path: '../x' })),
    'not a plain file name',
  ],
  ['a hard link', tarOf(withHeader(plain, 156, '1')), 'a hard link'],
  ['a symbolic link', tarOf(withHeader(plain, 156, '2')), 'a symbolic link'],
  ['a character device', tarOf(withHeader(plain, 156, '3')), 'a device'],
  ['a block device', tarOf(withHeader(plain, 156, '4')), 'a device'],
  ['a directory', tarOf(withHeader(plain, 156, '5')), 'a directory'],
  ['a FIFO', tarOf(withHeader(plain, 156, '6')), 'a FIFO'],
  ['an old sparse file', tarOf(withHeader(plain, 156, 'S')), 'tar --format=posix -S'],
  ['an unknown type', tarOf(withHeader(plain, 156, 'Z')), 'the type "Z"'],
  ['two files of one name', tarOf(plain, whole), 'two files named "web.img"'],
  ['a sparse map that overlaps', tarOf(sparseMember('x', 4096, '2\n0\n512\n256\n512\n', data)), 'overlaps'],
  [
    'a sparse map that runs backwards',
    tarOf(sparseMember('x', 4096, '2\n2048\n512\n0\n512\n', data)),
    'backwards',
  ],
  ['a sparse map beyond the end', tarOf(sparseMember('x', 1024, '1\n512\n1024\n', data)), 'beyond the end'],
  [
    'a sparse map with too little data',
    tarOf(sparseMember('x', 4096, '1\n0\n512\n', data)),
    'length of its data',
  ],
  [
    'a sparse map with too much data',
    tarOf(sparseMember('x', 4096, '1\n0\n2048\n', data)),
    'length of its data',
  ],
  [
    'a sparse map that is endless',
    tarOf(sparseMember('x', 4096, '9'.repeat(600), data)),
    'a line that is too long',
  ],
  ['a sparse map of a billion extents', tarOf(sparseMember('x', 4096, '1000000000\n', data)), 'too many'],
  ['a sparse map of words', tarOf(sparseMember('x', 4096, '1\n0x0\n512\n', data)), 'not a number'],
  ['a sparse map of negative numbers', tarOf(sparseMember('x', 4096, '1\n-5\n512\n', data)), 'not a number'],
  [
    'a sparse map beyond 2^53',
    tarOf(sparseMember('x', 4096, '1\n9007199254740993\n1\n', data)),
    'not a number',
  ],
  [
    'a size beyond 2^53',
    tarOf(sparseMember('x', '9007199254740993', '0\n', data)),
    'a size that no file has',
  ],
  ['a size that is no number', tarOf(sparseMember('x', '1e3', '0\n', data)), 'a size that no file has'],
  ['a binary size beyond 2^53', tarOf(binarySize('\x80\0\0\0\x01\0\0\0\0\0\0\0')), 'a size that no file has'],
  [
    'a negative binary size',
    tarOf(binarySize('\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff')),
    'no file has',
  ],
  ['another sparse format', tarOf(member('x', data, { 'GNU.sparse.size': '5' })), 'another format than 1.0'],
  [
    'a pax header of 100 MB',
    Buffer.concat([longPax, Buffer.alloc(10 * BLOCK_BYTES)]),
    'pax header of 100000000 bytes',
  ],
  [
    'a record that is stated twice',
    tarOf(paxHeader(`${paxRecord('a', '1')}${paxRecord('a', '2')}`), plain),
    'twice',
  ],
  [
    'a wrong checksum of a header',
    tarOf(Buffer.concat([Buffer.from('y'), plain.subarray(1)])),
    'wrong checksum',
  ],
  ['no end', plain, 'ends too early'],
  ['an end inside a file', plain.subarray(0, 700), 'ends too early'],
  ['an end inside a header', whole.subarray(0, 1200), 'ends too early'],
  ['nothing', Buffer.alloc(0), 'ends too early'],
];

describe('refused:', () => {
  test.each(cases)('%s', async (_, tar, says) => {
    await expect(unpackTar(tar)).rejects.toMatchObject({
      code: 'archive-damaged',
      message: expect.stringContaining(says),
    });
  });

  test('more files than any archive has', async () => {
    const members = Array.from({ length: 1025 }, (_, index) => member(`disk${index}`, Buffer.alloc(0)));
    await expect(unpackTar(tarOf(...members))).rejects.toMatchObject({
      message: expect.stringContaining('1024 files'),
    });
  });
});

test('a binary size, ./ before a name, a global header and bytes behind the end are fine', async () => {
  const binary = binarySize('\x80\0\0\0\0\0\0\0\0\0\x04\0');
  const globalHeader = withHeader(member('x', Buffer.from('12 comment=\n'.padEnd(12))), 156, 'g');
  const tar = Buffer.concat([tarOf(globalHeader, binary, member('./a.img', data)), Buffer.alloc(9 * 1024)]);
  expect((await unpackTar(tar)).map(({ name }) => name)).toEqual(['web.img', 'a.img']);
});

test('a changed archive is read, or refused with a Failure; it never crashes or hangs', async () => {
  const seed = testSeed();
  const random = seededRandom(seed);
  const original = tarOf(
    plain,
    sparseMember('b.img', 1_000_000, '3\n512\n512\n4096\n512\n1000000\n0\n', data),
  );
  const below = (limit: number) => Math.floor(random() * limit);
  for (let round = 0; round < 500; round++) {
    const changed = Buffer.from(original);
    for (let count = 1 + below(4); count > 0; count--) changed[below(changed.length)] = below(256);
    const tar = below(3) === 0 ? changed.subarray(0, below(changed.length)) : changed;
    // What the bytes say counts, not only that the checksum of a header is wrong.
    for (let at = 0; at + BLOCK_BYTES <= tar.length; at += BLOCK_BYTES)
      if (below(2) === 0 && tar.subarray(at + 257, at + 262).toString('latin1') === 'ustar')
        withHeader(tar.subarray(at, at + BLOCK_BYTES), 0, '').copy(tar, at);
    try {
      await unpackTar(tar, 1 + below(3000));
    } catch (error) {
      if (!(error instanceof Failure)) throw new Error(`seed ${seed}, round ${round}`, { cause: error });
    }
  }
});
