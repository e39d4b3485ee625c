import { describe, expect, test } from '@jest/globals';
import { backupCommands } from '../../../src/schedule/backup-commands.ts';
import {
  isUnitName,
  scheduledBy,
  serviceText,
  subjectOf,
  timerText,
  type ScheduledRun,
} from '../../../src/schedule/systemd-units.ts';

const run: ScheduledRun = {
  unit: 'vmferry-backup-web',
  guests: ['web'],
  sources: ['web'],
  store: '@offsite',
  onCalendar: '*-*-* 03:00:00',
  spreadSeconds: 900,
  commands: [
    ['/usr/bin/node', '/usr/bin/vmferry', 'backup', 'web', '--to', '@offsite'],
    ['/usr/bin/node', '/usr/bin/vmferry', 'prune', '@offsite', '--guest', 'web'],
  ],
  environment: { HOME: '/root' },
  isSystem: true,
  isRemote: true,
  startsGuests: false,
  writablePaths: ['/srv/my guests', '/var/lib/vmferry'],
  needsTmp: false,
};

describe('the service', () => {
  test('runs the commands in order, confined and in the background', () => {
    const lines = serviceText(run)?.split('\n') ?? [];
    expect(lines.filter((line) => line.startsWith('ExecStart='))).toEqual([
      'ExecStart=/usr/bin/node /usr/bin/vmferry backup web --to @offsite',
      'ExecStart=/usr/bin/node /usr/bin/vmferry prune @offsite --guest web',
    ]);
    expect(lines).toEqual(
      expect.arrayContaining([
        'Type=oneshot',
        'Environment=HOME=/root',
        'After=network-online.target',
        'ReadWritePaths="-/srv/my guests"',
        'ReadWritePaths=-/var/lib/vmferry',
        'ProtectSystem=strict',
        'PrivateTmp=true',
        'KillMode=mixed',
        'Nice=10',
      ]),
    );
  });

  test('sets no limits if it starts a guest again, which would inherit them', () => {
    const text = serviceText({ ...run, startsGuests: true });
    expect(text).toContain('KillMode=process\n');
    expect(text).not.toMatch(/^(?:Nice|CPUWeight|Protect|PrivateTmp|NoNewPriv|CapabilityB|Restrict)/m);
  });

  test('of an account has no limits that only root’s manager can set', () => {
    const text = serviceText({ ...run, isSystem: false });
    expect(text).toContain('NoNewPrivileges=true\n');
    expect(text).not.toMatch(/^(?:Protect|PrivateTmp|CapabilityB|Wants)/m);
  });

  test('keeps /tmp if it needs something in it', () => {
    expect(serviceText({ ...run, needsTmp: true })).not.toContain('PrivateTmp=true');
  });

  test('is not written if a value cannot be expressed', () => {
    expect(serviceText({ ...run, writablePaths: ['/srv/a\nExecStart=/bin/sh'] })).toBeNull();
    expect(serviceText({ ...run, commands: [['node']] })).toBeNull();
    expect(serviceText({ ...run, environment: { A: '\0' } })).toBeNull();
  });

  test('names any guest and store on one line', () => {
    const text = serviceText({ ...run, guests: ['a\n[Service]'], store: 's\nExecStart=/bin/sh' }) ?? '';
    expect(text.match(/^\[Service\]$/gm)).toHaveLength(1);
    expect(text.match(/^ExecStart=/gm)).toHaveLength(2);
  });
});

test('the timer runs missed times later', () => {
  expect(timerText(run)).toContain(
    '[Timer]\nOnCalendar=*-*-* 03:00:00\nPersistent=true\nRandomizedDelaySec=900\nUnit=vmferry-backup-web.service\n',
  );
});

test('vmferry recognises its own units, and no others', () => {
  for (const text of [serviceText(run) ?? '', timerText(run)]) {
    expect(scheduledBy(text)).toBe(subjectOf(run));
    expect(scheduledBy(`\n${text}`)).toBeNull();
  }
  expect(subjectOf({ sources: ['b', 'a'], store: 's' })).toBe(subjectOf({ sources: ['a', 'b'], store: 's' }));
  expect(subjectOf(run)).not.toBe(subjectOf({ ...run, store: 'other' }));
  expect(scheduledBy('[Unit]\nDescription=mine\n')).toBeNull();
});

test.each(['', '.', '-a', 'a b', 'a/b', 'a@b', '%n', 'é', 'a'.repeat(201)])(
  '%j is not a name for units',
  (name) => {
    expect(isUnitName(name)).toBe(false);
  },
);

test('the backup comes first, then a prune for each guest if there are keep options', () => {
  const what = {
    vmferry: ['/n', '/v'],
    guests: ['web', '/srv/old.img'],
    guestNames: ['web', 'old'],
    store: '/backups',
    backupOptions: ['--pause'],
    commonOptions: ['--ssh-config', '/c'],
  };
  const backup = [
    '/n',
    '/v',
    'backup',
    'web',
    '/srv/old.img',
    '--to',
    '/backups',
    '--pause',
    '--ssh-config',
    '/c',
  ];
  expect(backupCommands({ ...what, keepOptions: null })).toEqual([backup]);
  expect(backupCommands({ ...what, keepOptions: ['--keep-daily', '7'] })).toEqual([
    backup,
    ['/n', '/v', 'prune', '/backups', '--guest', 'web', '--keep-daily', '7', '--ssh-config', '/c'],
    ['/n', '/v', 'prune', '/backups', '--guest', 'old', '--keep-daily', '7', '--ssh-config', '/c'],
  ]);
});
