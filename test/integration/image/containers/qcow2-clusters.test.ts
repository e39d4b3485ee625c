import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { storedRanges, type StoredRange } from '../../../../src/image/formats/containers/qcow2-clusters.ts';
import { headerFile } from '../../../../src/image/formats/view/backing-chain.ts';
import { openImageFile } from '../../../../src/image/source/image-file.ts';
import { patchFile, runTool, scratchDirectory } from '../../../support/images/images.ts';
import { describeUnless, toolsMissing } from '../../../support/programs/tools.ts';
import { seededRandom, testSeed } from '../../../support/seeded-random.ts';

const MIB = 2 ** 20;

function rangesIn(path: string): StoredRange[] {
  const file = openImageFile(path);
  try {
    return [...storedRanges(headerFile(file))];
  } finally {
    closeSync(file.fd);
  }
}

interface MapEntry {
  start: number;
  length: number;
  depth: number;
  data: boolean;
  offset?: number;
}

/** What QEMU says of the same, with ranges that follow each other as one. */
function rangesOfQemu(path: string): StoredRange[] {
  const entries = JSON.parse(
    runTool('qemu-img', ['map', '--output=json', '-f', 'qcow2', path]),
  ) as MapEntry[];
  const ranges: StoredRange[] = [];
  for (const { start, length, depth, data, offset } of entries) {
    if (depth !== 0 || !data || offset === undefined) continue;
    const last = ranges.at(-1);
    if (
      last?.offset !== undefined &&
      last.offset + last.length === start &&
      last.fileOffset + last.length === offset
    )
      last.length += length;
    else ranges.push({ offset: start, length, fileOffset: offset });
  }
  return ranges;
}

describeUnless(toolsMissing('qemu-img', 'qemu-io'), 'the places of the disk in a qcow2 image', () => {
  const kinds = [
    { name: 'of version 2', options: ['compat=0.10'] },
    { name: 'of version 3', options: [] },
    { name: 'with the smallest clusters', options: ['cluster_size=512'] },
    { name: 'with the largest clusters', options: ['cluster_size=2M'] },
  ];

  test.each(kinds)('are those that QEMU tells, $name', ({ options }) => {
    using scratch = scratchDirectory();
    const seed = testSeed();
    const random = seededRandom(seed);
    const [base, image] = [join(scratch.path, 'base.qcow2'), join(scratch.path, 'a.qcow2')];
    const size = 40 * MIB + 1024;
    runTool('qemu-img', ['create', '-q', '-f', 'qcow2', base, `${size}`]);
    runTool('qemu-io', ['-f', 'qcow2', '-c', 'write -P 3 0 9M', base]);
    const chosen = options.flatMap((option) => ['-o', option]);
    const backing = ['-F', 'qcow2', '-b', base];
    runTool('qemu-img', ['create', '-q', '-f', 'qcow2', ...chosen, ...backing, image, `${size}`]);
    const commands = Array.from({ length: 40 }, () => {
      const from = Math.floor(random() * (size / 512)) * 512;
      const length = Math.min(size - from, 512 * (1 + Math.floor(random() * 900)));
      const kind = Math.floor(random() * 5);
      if (kind === 0) return `write -z ${from} ${length}`;
      if (kind === 1) return `discard ${from} ${length}`;
      return `write -P ${1 + Math.floor(random() * 200)} ${from} ${length}`;
    });
    const all = ['write -c -P 9 20M 2M', ...commands, `write -P 5 ${size - 1024} 1024`].flatMap((command) => [
      '-c',
      command,
    ]);
    runTool('qemu-io', ['-f', 'qcow2', ...all, image]);
    try {
      const ranges = rangesIn(image);
      expect(ranges).toEqual(rangesOfQemu(image));
      expect(ranges.length).toBeGreaterThan(1);
    } catch (error) {
      throw new Error(`VMFERRY_TEST_SEED=${seed}`, { cause: error });
    }
  });

  test('are not told if clusters may be stored in part', () => {
    using scratch = scratchDirectory();
    const image = join(scratch.path, 'a.qcow2');
    runTool('qemu-img', ['create', '-q', '-f', 'qcow2', '-o', 'extended_l2=on', image, '4M']);
    runTool('qemu-io', ['-f', 'qcow2', '-c', 'write -P 5 0 1M', image]);
    expect(rangesIn(image)).toEqual([]);
  });

  test('are refused where a table lies beyond the end of the file', () => {
    using scratch = scratchDirectory();
    const image = join(scratch.path, 'a.qcow2');
    runTool('qemu-img', ['create', '-q', '-f', 'qcow2', image, '4M']);
    patchFile(image, 40, Buffer.from('0000ffffffff0000', 'hex'));
    expect(() => rangesIn(image)).toThrow('is damaged, or cut off');
  });
});
