import { describe, expect, test } from '@jest/globals';
import { Failure } from '../../../src/failure.ts';
import { isGuestName, parseGuestDefinition, type GuestDefinition } from '../../../src/guest/definition.ts';

const whole: GuestDefinition = {
  name: 'web',
  driver: 'uml',
  memoryBytes: 134_217_728,
  cpuCount: 2,
  kernel: '/usr/bin/linux.uml',
  initrd: null,
  disks: [
    { device: 'ubd0', path: '/srv/web.img', readOnly: false },
    { device: 'ubd1', path: '/srv/data.img', readOnly: true, flags: 's', serial: 'DATA1' },
  ],
  commandLine: ['root=/dev/ubda', 'con0=null,fd:1'],
};

describe('isGuestName', () => {
  test.each(['web', 'Web-2.example_x', 'my disk.img', 'über', 'a', 'a'.repeat(200), '~x', '日本'])(
    '%j is a guest name',
    (name) => {
      expect(isGuestName(name)).toBe(true);
    },
  );

  test.each([
    '',
    '.',
    '..',
    '.hidden',
    '-rf',
    'a/b',
    '/',
    'a\0b',
    'a\nb',
    'a\u001B[31m',
    'a\u202Eb',
    ' a',
    'a ',
    'a'.repeat(201),
    'ü'.repeat(101),
    '\uD800',
  ])('%j is no guest name', (name) => {
    expect(isGuestName(name)).toBe(false);
  });
});

describe('a definition', () => {
  test('survives a round trip through JSON', () => {
    expect(parseGuestDefinition(JSON.parse(JSON.stringify(whole)))).toEqual(whole);
  });

  test.each<[string, unknown, RegExp]>([
    ['is no object', 'web', /as a whole/],
    ['is null', null, /as a whole/],
    ['has an unknown field', { ...whole, cpus: 1 }, /cpus/],
    ['lacks a field', { ...whole, initrd: undefined }, /initrd/],
    ['has a name with a slash', { ...whole, name: '../web' }, /name: is not a guest name/],
    ['has an unknown driver', { ...whole, driver: 'xen' }, /driver/],
    [
      'has a relative disk',
      { ...whole, disks: [{ ...whole.disks[0], path: 'web.img' }] },
      /disks\.0\.path: is not an absolute path/,
    ],
    [
      'has a disk with odd flags',
      { ...whole, disks: [{ ...whole.disks[0], flags: '=x' }] },
      /disks\.0\.flags/,
    ],
    ['has a negative memory', { ...whole, memoryBytes: -1 }, /memoryBytes/],
    ['has a part of a processor', { ...whole, cpuCount: 1.5 }, /cpuCount/],
    ['has a NUL in its command line', { ...whole, commandLine: ['a\0b'] }, /commandLine\.0: holds a NUL/],
  ])('that %s is refused', (_, json, message) => {
    let thrown: unknown;
    try {
      parseGuestDefinition(json);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(Failure);
    expect(thrown).toMatchObject({ code: 'guest-unsupported', message: expect.stringMatching(message) });
  });
});
