import { describe, expect, test } from '@jest/globals';
import { autostartReportText } from '../../../src/cli/commands/autostart.ts';
import { guestsText } from '../../../src/cli/commands/guests.ts';
import { haltReportText } from '../../../src/cli/commands/halt.ts';
import type { ImageReport } from '../../../src/operations/guests/inspect.ts';
import { describeUsers } from '../../../src/image/usage/describe-users.ts';
import { imageReportText } from '../../../src/cli/commands/inspect.ts';
import { migrationPlanText, migrationReportText } from '../../../src/cli/texts/migration-text.ts';
import { rehearsalText } from '../../../src/cli/texts/rehearsal-text.ts';
import { revertReportText } from '../../../src/cli/commands/revert.ts';
import type { MigrationReport } from '../../../src/operations/migrate/migration-report.ts';

const GiB = 2 ** 30;
const account = {
  source: '/srv/web.img',
  target: '/guests/web.img',
  sizeBytes: 4 * GiB,
  readBytes: 1.25 * GiB,
  holeBytes: 1.75 * GiB,
  freeBytes: GiB,
};
const moved: MigrationReport = {
  type: 'moved',
  guest: 'web',
  archive: null,
  destination: 'newhost',
  directory: '/guests',
  devices: [],
  as: 'uml',
  changes: [],
  losses: [],
  disks: [{ ...account, sentBytes: 0.4 * GiB, takenBytes: 0, fingerprint: 'sha256:abc', readBack: 'direct' }],
  seconds: 18,
  passes: [
    { readBytes: GiB, changedBytes: GiB, sentBytes: 0.4 * GiB, seconds: 12 },
    { readBytes: GiB, changedBytes: 0, sentBytes: 0, seconds: 1 },
  ],
  downtimeSeconds: 14.2,
  downtimeParts: { haltSeconds: 3, copySeconds: 1, verifySeconds: 2, bootSeconds: 8 },
  predictedDowntimeSeconds: 11,
  booted: { pid: 77, consoleLog: '/var/log/web.log' },
  probes: [],
  committed: false,
  warnings: [],
};

describe('the summary of a move', () => {
  test('shows what was read, skipped and sent, how it was verified, and what to do next', () => {
    expect(migrationReportText(moved).split('\n')).toEqual([
      'web runs on newhost (pid 77).',
      '',
      '  from         /srv/web.img',
      '  to           newhost:/guests/web.img',
      '  size         4.00 GiB',
      '  read         1.25 GiB',
      '  skipped      1.75 GiB holes, 1.00 GiB free in its file system',
      '  sent         410 MiB (ratio 3.1)',
      '  fingerprint  abc',
      '  verified     every chunk, read back there from the disk (O_DIRECT)',
      '',
      '  downtime     14 s',
      '  made of      halt 3.0 s, copy 1.0 s, verify 2.0 s, boot 8.0 s',
      '  predicted    11 s',
      '  before it    1 copy while the guest ran',
      '  in all       18 s',
      '  console log  newhost:/var/log/web.log',
      '',
      'The old image is unchanged: /srv/web.img',
      'vmferry keeps web from being started here, so that it never runs twice.',
      'To take the move back: vmferry revert web',
    ]);
  });

  test('shows what another disk of the command had there already', () => {
    const [disk] = moved.disks.map((one) => ({ ...one, takenBytes: GiB }));
    const text = migrationReportText({ ...moved, disks: disk === undefined ? [] : [disk] });
    expect(text).toContain('\n  not sent     1.00 GiB that another disk had there\n');
    expect(migrationReportText(moved)).not.toContain('not sent');
  });

  test('says that a proven move is committed, and nothing of a way back', () => {
    expect(
      migrationReportText({ ...moved, committed: true })
        .split('\n')
        .slice(-3),
    ).toEqual([
      'web stays on newhost: all probes answered as before, so the move is committed.',
      'The old image is unchanged: /srv/web.img',
      'Delete it when you no longer need it.',
    ]);
  });

  test('of an image that no guest uses: no revert and no downtime', () => {
    const text = migrationReportText({ ...moved, booted: null, downtimeSeconds: null, downtimeParts: null });
    expect(text).toMatch(/^web is on newhost\. It was not booted/);
    expect(text).not.toMatch(/revert|downtime|console/);
  });
});

test('a plan shows what would happen, and says that nothing was changed', () => {
  const text = migrationPlanText({
    type: 'plan',
    guest: 'web',
    destination: 'newhost',
    willHalt: true,
    willBoot: true,
    warm: false,
    as: 'qemu',
    changes: ['The disk ubd0 becomes vda.'],
    losses: ['The tape is lost.'],
    devices: [{ path: account.target, sizeBytes: 5 * GiB, holds: ['ext4 "root"', 'swap'] }],
    disks: [account],
    estimatedSendBytes: 0.4 * GiB,
    mostSendBytes: 0.8 * GiB,
    estimatedDowntimeSeconds: 20,
    warnings: [],
  });
  expect(text).toContain('The move would halt web here, copy it to newhost and verify it, boot it there.');
  expect(text).toContain('overwrites  ext4 "root", swap (5.00 GiB; its last 1.00 GiB stay as they are)');
  expect(text).toContain('What changes:\n  The disk ubd0 becomes vda.');
  expect(text).toContain('What is lost:\n  The tape is lost.');
  expect(text).toMatch(/to read +1\.25 GiB/);
  expect(text).toMatch(/to send +about 410 MiB, at most about 819 MiB \(free blocks/);
  expect(text).toMatch(/downtime +about 20 s/);
  expect(text).toMatch(/Nothing was changed\.$/);
});

describe('guests', () => {
  const web = {
    name: 'web',
    driver: 'uml',
    state: 'running',
    memoryBytes: 128 * 2 ** 20,
    cpuSeconds: 200,
    pid: 4711,
    autostart: null,
    disks: [
      { path: '/srv/web.img', sizeBytes: 4 * GiB, usedBytes: 1.25 * GiB },
      { path: '/srv/swap.img', sizeBytes: GiB, usedBytes: null },
    ],
    imageMissing: false,
    movedTo: null,
    unsupported: null,
  } as const;

  test('are a table with a row for each disk', () => {
    const db = {
      ...web,
      name: 'db',
      state: 'moved',
      movedTo: 'newhost',
      pid: null,
      cpuSeconds: null,
      disks: [],
    } as const;
    expect(guestsText([db, web]).split('\n')).toEqual([
      'name  driver  state              pid   memory    CPU time      size    in use  image',
      'db    uml     moved to newhost     -  128 MiB           -         -         -  -',
      'web   uml     running           4711  128 MiB  3 min 20 s  4.00 GiB  1.25 GiB  /srv/web.img',
      '                                                           1.00 GiB         -  /srv/swap.img',
    ]);
  });

  test('that cannot be moved have a reason below the table', () => {
    expect(guestsText([{ ...web, unsupported: 'it has a COW file.' }])).toMatch(
      /\n\nweb cannot be moved: it has a COW file\.$/,
    );
  });

  test('a guest without its image is marked, with the command that forgets it', () => {
    expect(guestsText([{ ...web, state: 'halted', imageMissing: true }])).toMatch(
      /\n\nAn image of web is missing\. Mount .*: vmferry guests --forget web$/,
    );
  });

  test('can be an empty list', () => {
    expect(guestsText([])).toContain('No guests found');
  });
});

test('an image shows its regions, its users, and why free blocks are not skipped', () => {
  const users = [
    { kind: 'process', pid: 12, name: 'qemu', description: 'is open in qemu (process 12)' },
  ] as const;
  const nothing = { length: GiB, pieces: [], clean: null, usedBytes: null, skippable: false };
  const report: ImageReport = {
    path: '/srv/web.vhd',
    format: 'vpc',
    container: {
      backingFiles: [{ path: '/srv/base.img', format: 'raw' }],
      snapshots: ['monday'],
      snapshotCount: 1,
      statedBytes: 2 ** 20,
    },
    sizeBytes: GiB,
    allocatedBytes: GiB,
    holeBytes: 0,
    freeBytes: 0,
    sendBytes: GiB,
    regions: [
      {
        offset: 2 ** 20,
        length: GiB - 2 ** 20,
        kind: 'ext3',
        clean: false,
        usedBytes: null,
        skippable: false,
        reason: 'it was not unmounted',
      },
      {
        offset: GiB,
        length: GiB,
        kind: 'lvm2',
        clean: null,
        usedBytes: 2 ** 20,
        skippable: true,
        volumeGroup: {
          name: 'vg0',
          unallocated: [],
          volumes: [
            { ...nothing, name: 'root', kind: 'ext4', clean: true, usedBytes: 2 ** 20, skippable: true },
            { ...nothing, name: 'data', kind: 'luks', reason: 'it is secret' },
          ],
        },
      },
    ],
    users,
  };
  const text = imageReportText(report, describeUsers(users));
  expect(text).toMatch(/used by +it is open in qemu \(process 12\)/);
  expect(text).toMatch(/format +vpc/);
  expect(text).toMatch(/size +1\.00 GiB \(1073741824 bytes; the image states 1048576\)/);
  expect(text).toMatch(/backing files +\/srv\/base\.img \(raw\)/);
  expect(text).toMatch(/snapshots +1, which are not read or moved: monday/);
  expect(text).toMatch(/^1\.00 MiB +1\.00 GiB +ext3 +not clean/m);
  expect(text).toContain('ext3 at 1.00 MiB: all its blocks are moved: it was not unmounted');
  expect(text).toMatch(/^1\.00 GiB +1\.00 GiB +lvm2 +1\.00 MiB$/m);
  expect(text).toMatch(/^vg0\/root +1\.00 GiB +ext4 +clean +1\.00 MiB$/m);
  expect(text).toContain('luks in data: all its blocks are moved: it is secret');
});

test('the summary of autostart says how to start and halt the guest from then on', () => {
  const byHypervisor = {
    type: 'autostart',
    guest: 'web',
    driver: 'xen',
    autostart: true,
    unit: null,
    file: null,
    isSystem: true,
  } as const;
  expect(autostartReportText(byHypervisor)).toBe('web starts with the machine.');
  const unit = String.raw`vmferry-guest-my\x20web.service`;
  const byUnit = { ...byHypervisor, driver: 'uml', unit, file: `/etc/${unit}` } as const;
  expect(autostartReportText(byUnit)).toContain(`systemctl restart '${unit}'; systemctl stop '${unit}'`);
  expect(autostartReportText({ ...byUnit, isSystem: false })).toContain('loginctl enable-linger');
  expect(autostartReportText({ ...byUnit, autostart: false })).toBe(
    `web does not start with the machine. Removed: /etc/${unit}`,
  );
});

test('the summaries of halt and revert', () => {
  expect(haltReportText({ type: 'halted', guest: 'web', notClean: [] })).toBe(
    'web is halted. To start it again: vmferry start web',
  );
  expect(haltReportText({ type: 'halted', guest: 'web', notClean: ['/a'] })).toContain(
    'unmounted cleanly: /a',
  );
  const reverted = { type: 'reverted', guest: 'web', pid: 5, consoleLog: '/l' } as const;
  expect(revertReportText({ ...reverted, wasRunningThere: null })).toContain('not contacted');
  expect(revertReportText({ ...reverted, wasRunningThere: true })).toContain('halted; its image stays there');
});

test('the summary of a rehearsal says how long the move will take, and what stays there', () => {
  const report = {
    type: 'rehearsed',
    guest: 'web',
    destination: 'newhost',
    as: 'uml',
    changes: [],
    losses: [],
    disks: [
      {
        source: '/srv/web.img',
        target: '/guests/web.img',
        partial: '/guests/web.img.partial',
        sizeBytes: GiB,
        sentBytes: 0.4 * GiB,
      },
    ],
    passes: [],
    bootSeconds: 6.04,
    predictedDowntimeSeconds: 11.2,
    giveUp: 'ssh newhost rm -f /guests/web.img.partial',
    seconds: 90,
    warnings: [],
  } as const;
  expect(rehearsalText(report).split('\n')).toEqual([
    'web boots on newhost in 6.0 s; downtime will be about 12 s.',
    '',
    '  kept there  /guests/web.img.partial',
    '  sent        410 MiB',
    '  in all      1 min 30 s',
    '',
    'web runs on here. The copy that was booted there is removed.',
    'vmferry migrate web with the same --to sends only what changes from now on.',
    'To give that up: ssh newhost rm -f /guests/web.img.partial',
  ]);
});
