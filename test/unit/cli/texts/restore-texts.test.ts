import { describe, expect, test } from '@jest/globals';
import { diffText } from '../../../../src/cli/commands/diff.ts';
import { restoreReportText } from '../../../../src/cli/texts/restore-text.ts';
import type { DifferentRange } from '../../../../src/operations/stores/diff-snapshots.ts';
import type { RestoreReport } from '../../../../src/operations/restore/restore-report.ts';

const MIB = 2 ** 20;
const report: RestoreReport = {
  type: 'restored',
  guest: 'web',
  snapshot: '20261122T030000Z-1f3a9c2e',
  consistency: 'frozen',
  disks: [
    {
      name: 'web.img',
      target: '/srv/web.img',
      sizeBytes: 4096 * MIB,
      readFromStoreBytes: 400 * MIB,
      writtenBytes: 1300 * MIB,
      unchangedBytes: 0,
      fingerprint: 'sha256:abc',
      readBack: 'direct',
      missing: [],
    },
  ],
  started: null,
  seconds: 12.3,
};

describe('the summary of a restore', () => {
  test('shows what came from the store, what was written, and how it was verified', () => {
    expect(restoreReportText(report).split('\n')).toEqual([
      'web is restored to /srv/web.img',
      '',
      '  disk         web.img',
      '  to           /srv/web.img',
      '  size         4.00 GiB',
      '  received     400 MiB',
      '  written      1.27 GiB',
      '  unchanged    0 B',
      '  fingerprint  abc',
      '  verified     every chunk, read back from the disk (O_DIRECT)',
      '',
      '  snapshot  20261122T030000Z-1f3a9c2e',
      '  state     the guest was synced and paused',
      '  in all    12 s',
    ]);
  });

  test('shows that the guest runs', () => {
    const text = restoreReportText({ ...report, started: { pid: 77, consoleLog: '/var/log/web' } });
    expect(text).toContain('web is restored and runs (pid 77).');
    expect(text).toContain('console log  /var/log/web');
  });

  test('shows missing data in capitals', () => {
    const [disk] = report.disks;
    if (disk === undefined) throw new Error('no disk');
    const missing = [{ offset: 0, length: MIB }];
    expect(restoreReportText({ ...report, disks: [{ ...disk, missing }] })).toContain(
      'MISSING      1.00 MiB, lost from the store: written as zeros',
    );
  });
});

describe('the difference of two snapshots', () => {
  const ranges: DifferentRange[] = Array.from({ length: 13 }, (_, number) => ({
    offset: number * 100 * MIB,
    length: (number + 1) * 65536,
    difference: number === 12 ? 'removed' : 'changed',
  }));
  const disk = {
    name: 'web.img',
    fromBytes: MIB,
    toBytes: MIB,
    changedBytes: 5 * MIB,
    addedBytes: 0,
    removedBytes: 65536,
    ranges,
  };
  const diff = { type: 'diff', guest: 'web', from: 'a', to: 'b' } as const;

  test('shows the largest ranges first, and counts the others', () => {
    const lines = diffText({ ...diff, disks: [disk] }).split('\n');
    expect(lines.slice(0, 6)).toEqual([
      'web, from a to b',
      '',
      'web.img (1.00 MiB): 5.00 MiB changed, 0 B added, 64.0 KiB removed',
      '    offset     size',
      '1258291200  832 KiB  removed',
      '1153433600  768 KiB  changed',
    ]);
    expect(lines.at(-1)).toBe('and 3 smaller ranges (--json shows all)');
    expect(lines).toHaveLength(15);
  });

  test.each([
    [{ ranges: [] }, 'web.img (1.00 MiB): no difference'],
    [{ toBytes: 2 * MIB }, 'web.img (1.00 MiB, then 2.00 MiB): '],
    [{ fromBytes: null }, 'web.img (1.00 MiB, new): '],
    [{ toBytes: null }, 'web.img (1.00 MiB, removed): '],
  ])('%j', (change, heading) => {
    expect(diffText({ ...diff, disks: [{ ...disk, ...change }] })).toContain(heading);
  });
});
