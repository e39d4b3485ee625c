import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isGuestName } from '../../../src/guest/definition.ts';
import {
  guestOfUnit,
  guestUnitName,
  guestUnitText,
  type GuestUnit,
} from '../../../src/schedule/guest-unit.ts';

const unit: GuestUnit = {
  guest: 'uml:web',
  vmferry: ['/usr/bin/node', '/usr/bin/vmferry'],
  environment: { HOME: '/root', UML_DIR: '/run/my guests' },
  isSystem: true,
  bootTimeoutSeconds: 60,
  haltTimeoutSeconds: 90,
  after: [],
};

describe('the unit of a guest', () => {
  test('starts the guest, stays active, and halts it within enough time', () => {
    expect(guestUnitText(unit)?.split('\n')).toEqual(
      expect.arrayContaining([
        'Type=oneshot',
        'RemainAfterExit=yes',
        'ExecStart=/usr/bin/node /usr/bin/vmferry start uml:web --if-down --boot-timeout 60',
        'ExecStop=/usr/bin/node /usr/bin/vmferry halt uml:web --if-running --halt-timeout 90',
        'TimeoutStopSec=420',
        'KillMode=process',
        'Environment=HOME=/root',
        'Environment="UML_DIR=/run/my guests"',
        'Wants=network-online.target',
        'WantedBy=multi-user.target',
      ]),
    );
  });

  test('is started after others, and stopped before them', () => {
    const after = ['vmferry-guest-db.service', 'vmferry-guest-mail.service'];
    const line = 'After=vmferry-guest-db.service vmferry-guest-mail.service\n';
    expect(guestUnitText({ ...unit, after })).toContain(line);
    expect(guestUnitText({ ...unit, after, isSystem: false })).toContain(line);
    expect(guestUnitText(unit)?.match(/^After=.*$/gm)).toEqual([
      'After=network-online.target local-fs.target remote-fs.target',
    ]);
  });

  test('of an account names no unit of the system', () => {
    const text = guestUnitText({ ...unit, isSystem: false });
    expect(text).toContain('WantedBy=default.target\n');
    expect(text).not.toMatch(/^(?:Wants|After)=/m);
  });

  test('says which guest it is for', () => {
    for (const guest of ['uml:web', 'qemu:a "b\' \\ % $ é'])
      expect(guestOfUnit(guestUnitText({ ...unit, guest }) ?? '')).toBe(guest);
    expect(guestOfUnit('[Unit]\n# vmferry-autostart: uml:web\n')).toBeNull();
  });

  test('is not written with a path that it cannot hold', () => {
    expect(guestUnitText({ ...unit, vmferry: ['/usr/bin/a"b'] })).toBeNull();
    expect(guestUnitText({ ...unit, environment: { HOME: '/\0' } })).toBeNull();
  });
});

describe('the name of the unit', () => {
  test.each([
    ['web', 'vmferry-guest-web.service'],
    ['my-web_2.a', 'vmferry-guest-my-web_2.a.service'],
    ['my web', String.raw`vmferry-guest-my\x20web.service`],
    ['é\\@%', String.raw`vmferry-guest-\xc3\xa9\x5c\x40\x25.service`],
  ])('of %s is %s', (guest, name) => {
    expect(guestUnitName(guest)).toBe(name);
  });

  test('is null when it would be too long', () => {
    expect(guestUnitName('é'.repeat(100))).toBeNull();
  });

  test('differs for two guests, and is a valid file name', () => {
    const names = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).filter(isGuestName);
    fc.assert(
      fc.property(names, names, (one, other) => {
        const name = guestUnitName(one) ?? '';
        if (name !== '') expect(name).toMatch(/^vmferry-guest-[A-Za-z0-9:_.\\-]+\.service$/);
        if (name !== '' && one !== other) expect(guestUnitName(other)).not.toBe(name);
      }),
    );
  });
});
