import { describe, expect, test } from '@jest/globals';
import { nameOfProbe, parseProbe } from '../../../../src/operations/migrate/probes/probe.ts';
import {
  describeAccount,
  describeAnswer,
  greetingOf,
  greetsDifferently,
  isSameAnswer,
  type Answer,
} from '../../../../src/operations/migrate/probes/answer.ts';
import type { ProbeAccount } from '../../../../src/events.ts';
import { isProven } from '../../../../src/operations/migrate/commit-proven.ts';
import { addressesOf } from '../../../../src/operations/migrate/probes/guest-addresses.ts';

describe('a probe on the command line', () => {
  test.each([
    ['tcp:22', { kind: 'tcp', host: null, port: 22 }],
    ['tcp:web.example:8080', { kind: 'tcp', host: 'web.example', port: 8080 }],
    ['tcp:[fe80::1%eth0]:22', { kind: 'tcp', host: 'fe80::1%eth0', port: 22 }],
    ['http://web.example/status', { kind: 'http', url: 'http://web.example/status' }],
    ['https://[::1]:8443/', { kind: 'http', url: 'https://[::1]:8443/' }],
    ['exec:ping -c 1 "$VMFERRY_ADDRESS"', { kind: 'exec', command: 'ping -c 1 "$VMFERRY_ADDRESS"' }],
  ])('%s is read', (text, probe) => {
    expect(parseProbe(text)).toEqual(probe);
    expect(nameOfProbe(parseProbe(text) ?? { kind: 'exec', command: '' })).toBe(text);
  });

  test.each([
    '',
    'tcp',
    'tcp:0',
    'tcp:65536',
    'tcp:ssh',
    'tcp::22',
    'tcp:fe80::1:22',
    'tcp:a b:22',
    'udp:53',
    'http://',
    'http://user:secret@web.example/',
    'http://user@web.example/',
    'exec:',
    'exec: ',
    'exec:a\0b',
  ])('%j is not', (text) => {
    expect(parseProbe(text)).toBeNull();
  });

  test('is named without the query of a URL, and without the end of a long command', () => {
    expect(nameOfProbe({ kind: 'http', url: 'http://web.example/a?token=secret#b' })).toBe(
      'http://web.example/a',
    );
    expect(nameOfProbe({ kind: 'exec', command: 'x'.repeat(200) })).toHaveLength(86);
  });
});

const open = (greeting: string | null): Answer => ({ answered: true, way: 'open', greeting });
const refused: Answer = { answered: false, why: 'connection refused' };

describe('two answers', () => {
  test.each<[string, Answer, Answer, boolean, boolean]>([
    ['an open port, twice', open(null), open(null), true, false],
    ['another greeting', open('SSH-2.0-a'), open('SSH-2.0-b'), true, true],
    ['no greeting any more', open('SSH-2.0-a'), open(null), true, true],
    ['a port that is closed now', open(null), refused, false, false],
    ['a port that was closed', refused, open(null), false, false],
    ['a port that is closed, twice', refused, refused, false, false],
    [
      'another status',
      { answered: true, way: 'status 200', greeting: null },
      { answered: true, way: 'status 503', greeting: null },
      false,
      false,
    ],
  ])('%s', (_, before, after, isSame, isOther) => {
    expect([isSameAnswer(before, after), greetsDifferently(before, after)]).toEqual([isSame, isOther]);
  });

  test('are told side by side', () => {
    const account = {
      probe: 'tcp:22',
      isChosen: true,
      before: describeAnswer(open('SSH-2.0-a')),
      isOnlyThere: false,
    };
    const told = [
      { outcome: 'passed', after: describeAnswer(open('SSH-2.0-a')), seconds: 3.14 },
      { outcome: 'passed', after: describeAnswer(open(null)), seconds: 3.14 },
      { outcome: 'passed', after: describeAnswer(open(null)), seconds: 15, isOnlyThere: true },
      { outcome: 'failed', after: describeAnswer(refused), seconds: null },
      { outcome: 'not-finished', after: null, seconds: null },
    ] as const;
    expect(told.map((one) => describeAccount({ ...account, ...one }))).toEqual([
      'tcp:22 answered SSH-2.0-a before, the same after 3.1 s',
      'tcp:22 answered SSH-2.0-a before, was open after 3.1 s',
      'tcp:22 answered SSH-2.0-a before, was open after 15.0 s, only from the new hardware',
      'tcp:22 answered SSH-2.0-a before, did not answer: connection refused after the boot',
      'tcp:22 answered SSH-2.0-a before, and was not asked until the end',
    ]);
    const none = { ...account, before: describeAnswer(refused), after: null, seconds: null };
    expect(describeAccount({ ...none, outcome: 'not-required' })).toBe(
      'tcp:22 did not answer: connection refused before, so it was not asked again',
    );
  });
});

describe('a greeting', () => {
  test.each<[string, string, string | null]>([
    ['its first line', 'SSH-2.0-OpenSSH_9.2\r\nmore', 'SSH-2.0-OpenSSH_9.2'],
    ['nothing', '', null],
    ['an empty line', '\r\n220 late', null],
    ['control characters', '\u001b[2J\u0007bell', null],
    ['letters in the other direction', 'good \u202egnol', 'good'],
    ['a binary greeting', 'J\0\0\0\n8.0.36\0\u0012\u0003', 'J'],
    ['an endless line', 'x'.repeat(500), 'x'.repeat(100)],
  ])('%s', (_, received, greeting) => {
    expect(greetingOf(new TextEncoder().encode(received))).toBe(greeting);
  });

  test('of bytes that are no text is no reason to fail', () => {
    expect(greetingOf(Uint8Array.of(0xff, 0xfe, 0x80))).toBe('\ufffd\ufffd\ufffd');
  });
});

describe('the table of neighbours', () => {
  const table = `IP address       HW type     Flags       HW address            Mask     Device
10.0.0.5         0x1         0x2         52:54:00:AA:bb:01     *        br0
10.0.0.6         0x1         0x0         52:54:00:aa:bb:01     *        br0
10.0.0.7         0x1         0x2         52:54:00:aa:bb:02     *        br0
10.0.0.5         0x1         0x2         52:54:00:aa:bb:01     *        br1
10.0.1.5         0x1         0x6         52:54:00:aa:bb:01     *        br1
\u001b[2J        0x1         0x2         52:54:00:aa:bb:01     *        br1
`;
  test('has the addresses of a card, each once, and none that never answered', () => {
    expect(addressesOf(['52:54:00:aa:bb:01'], table)).toEqual(['10.0.0.5', '10.0.1.5']);
    expect(addressesOf(['52:54:00:aa:bb:03'], table)).toEqual([]);
    expect(addressesOf(['52:54:00:aa:bb:01'], '')).toEqual([]);
  });
});

describe('a move is proven', () => {
  const probed = (outcome: ProbeAccount['outcome'], isChosen = true): ProbeAccount => ({
    probe: 'tcp:22',
    isChosen,
    outcome,
    before: 'answered SSH-2.0-web',
    after: outcome === 'passed' ? 'answered SSH-2.0-web' : null,
    seconds: null,
    isOnlyThere: false,
  });
  const other = { ...probed('passed'), after: 'answered SSH-2.0-db' };
  const onlyThere = { ...probed('passed', false), isOnlyThere: true };

  test.each<[string, ProbeAccount[], boolean]>([
    ['by chosen probes that have all passed', [probed('passed'), probed('passed')], true],
    ['by automatic ones, too', [probed('passed', false)], true],
    ['not if only the new hardware is answered', [probed('passed', false), onlyThere], false],
    ['not by none', [], false],
    ['not if what answers introduces itself in another way', [probed('passed'), other], false],
    ['not if a chosen one did not answer before', [probed('passed'), probed('not-required')], false],
    ['not if a chosen one was not asked until the end', [probed('passed'), probed('not-finished')], false],
    ['not if a chosen one failed', [probed('passed'), probed('failed')], false],
  ])('%s', (_, probes, expected) => {
    expect(isProven(probes)).toBe(expected);
  });
});
