import { expect, test } from '@jest/globals';
import { readPercent, verifyCommand } from '../../../../src/cli/commands/verify.ts';
import { verifyText } from '../../../../src/cli/texts/verify-text.ts';
import { parseCommandLine } from '../../../../src/cli/options/parse.ts';
import type { GuestVerdict, VerifyReport } from '../../../../src/operations/verify/verify-report.ts';
import { codeOf } from '../../../support/failures.ts';

async function percentOf(...argv: string[]): Promise<number> {
  const parsed = await parseCommandLine(['verify', ...argv], [verifyCommand], { version: '0', columns: 80 });
  if (parsed.kind === 'text') throw new Error(parsed.text);
  return readPercent(parsed.args);
}

test('--read-data sets how much is read', async () => {
  expect(await percentOf('/srv/backups')).toBe(0);
  expect(await percentOf('/srv/backups', 'web', '--read-data')).toBe(100);
  expect(await percentOf('--read-data=10%', '/srv/backups')).toBe(10);
  expect(await percentOf('/srv/backups', '--read-data=100%')).toBe(100);
});

test.each(['--read-data=0%', '--read-data=101%', '--read-data=10', '--read-data=all', '--boot-timeout=0'])(
  '%s is refused',
  async (option) => {
    expect(await codeOf(() => percentOf('/srv/backups', option))).toBe('usage');
  },
);

const sound: GuestVerdict = {
  guest: 'web',
  snapshots: 2,
  packs: { count: 4, bytes: 4 * 2 ** 20 },
  read: { count: 0, bytes: 0 },
  problems: [],
  damaged: [],
  unreferenced: { count: 0, bytes: 0 },
  takenBack: 0,
};
const report: VerifyReport = {
  type: 'verified',
  store: '/srv/backups',
  guests: [sound],
  boot: null,
  bootFailure: null,
  isDamaged: false,
  seconds: 1,
};

test('a store without damage', () => {
  expect(verifyText(report)).toBe('web: 2 snapshots, no damage found; no pack was read\n\nIt took 1.0 s.');
  const boot = { guest: 'web', snapshot: '20261122T030000Z-00000001', bootSeconds: 2.5 };
  const read = { count: 1, bytes: 2 ** 20 };
  expect(verifyText({ ...report, guests: [{ ...sound, read }], boot })).toBe(
    [
      'web: 2 snapshots, no damage found; 1 of 4 packs read, 1.00 MiB',
      'web@20261122T030000Z-00000001 was restored and booted: up in 2.5 s',
      'It took 1.0 s.',
    ].join('\n\n'),
  );
  expect(verifyText({ ...report, guests: [] })).toMatch(/^There is no snapshot in \/srv\/backups yet\./);
});

test('damage is listed by snapshot, disk and range of bytes', () => {
  const guest: GuestVerdict = {
    ...sound,
    problems: [{ kind: 'pack-damaged', file: 'x', message: 'The pack ab… does not match its SHA-256.' }],
    damaged: [
      {
        snapshot: '20261122T030000Z-00000001',
        disks: [
          {
            name: 'web.img',
            damagedBytes: 65_536,
            ranges: [{ offset: 131_072, length: 65_536 }],
            moreRanges: 0,
          },
        ],
      },
      { snapshot: '20261123T030000Z-00000002', disks: [] },
    ],
    unreferenced: { count: 3, bytes: 2048 },
    takenBack: 2,
  };
  expect(verifyText({ ...report, guests: [guest] })).toBe(
    [
      'web: 2 snapshots, DAMAGED; no pack was read',
      '  moved back from the trash, because snapshots need them: 2 files',
      '  not needed by any snapshot (harmless): 3 files, 2.00 KiB',
      '  damage: The pack ab… does not match its SHA-256.',
      '  20261122T030000Z-00000001: cannot be restored completely',
      '    web.img: 64.0 KiB lost',
      '      bytes 131072 to 196607',
      '  20261123T030000Z-00000002: cannot be restored: its manifest cannot be read',
      '',
      'It took 1.0 s.',
    ].join('\n'),
  );
});

test('at most twenty ranges are shown', () => {
  const ranges = Array.from({ length: 25 }, (_, index) => ({ offset: index * 131_072, length: 65_536 }));
  const linesWith = (moreRanges: number) => {
    const disks = [{ name: 'web.img', damagedBytes: 25 * 65_536, ranges, moreRanges }];
    const guest = { ...sound, damaged: [{ snapshot: '20261122T030000Z-00000001', disks }] };
    return verifyText({ ...report, guests: [guest] }).split('\n');
  };
  const lines = linesWith(0);
  expect(lines.filter((line) => line.startsWith('      bytes'))).toHaveLength(20);
  expect(lines).toContain('      … and 5 more (--json lists all)');
  expect(linesWith(7)).toContain('      … and 12 more (--json lists the first 25)');
});
