import { describe, expect, test } from '@jest/globals';
import { Failure } from '../../../src/failure.ts';
import {
  formatMessage,
  parseMoverMessage,
  parseReceiverMessage,
  type Message,
  type MoverMessage,
  type ReceiverMessage,
} from '../../../src/wire/messages.ts';

const id = 'ab'.repeat(32);
const fingerprint = `sha256:${id}`;
const disk = { name: 'root.img', sizeBytes: 4096, neededBytes: 512 };
const open = {
  type: 'open',
  directory: '/srv/guests',
  name: 'root.img',
  sizeBytes: 2 ** 41,
  chunkBytes: 2 ** 21,
  mode: 0o640,
  uid: 0,
  gid: 65534,
  modifiedMs: 1_700_000_000_123.4,
} as const;
const halt = {
  type: 'halt',
  name: 'web',
  force: false,
  timeoutMs: 60_000,
  destination: 'old.example',
} as const;

const moverMessages: MoverMessage[] = [
  { type: 'check', directory: '/srv/guests', disks: [disk], guest: null },
  {
    type: 'check',
    directory: '/',
    disks: [disk, { ...disk, name: 'swap' }],
    guest: { name: 'web', disks: [] },
    sourceKernel: '0b3c1b1e-5f5e-4d8b-9a53-0a4f8d7b9b52',
    needs: { fileSystems: ['ext4'], modulesOf: ['6.1.0-9-amd64'] },
  },
  {
    type: 'check',
    directory: null,
    disks: [{ ...disk, path: '/dev/vg0/web' }],
    overwrite: true,
    guest: null,
  },
  { type: 'measure', padding: 'x'.repeat(1000) },
  open,
  { ...open, directory: null, path: '/dev/vg0/web', overwrite: true },
  { ...open, claim: { machine: '0b3c1b1e', guest: 'web' }, begun: true },
  { type: 'survey', disk: 1 },
  { type: 'pack', id, sizeBytes: 0 },
  {
    type: 'take',
    disk: 1,
    from: { disk: 0 },
    runs: [[0, 7, 2]],
    ids: Buffer.alloc(64, 1).toString('base64'),
  },
  { type: 'take', from: { path: '/dev/vg0/web', grant: id }, runs: [[0, 7, 1]], ids: 'AAEC' },
  { type: 'finish', fingerprint },
  { type: 'publish' },
  { type: 'publish', grants: true },
  {
    type: 'adapt',
    guest: { name: 'web' },
    root: { path: '/dev/vg0/web', offset: 1_048_576 },
    edits: [{ path: '/etc/fstab', before: '/dev/ubda / ext3\n\xe9', after: null }],
    bootArchive: 'AAEC',
  },
  {
    type: 'boot',
    sources: [{ host: 'old', machine: null, images: ['/srv/a.img'] }],
    guest: { name: 'Grüße \n "quoted" \u2028 🚢' },
    timeoutMs: 1,
  },
  {
    type: 'rehearse',
    guest: { name: 'web' },
    root: { path: '/srv/web.img', offset: 0 },
    edits: [{ path: '/etc/inittab', before: 'tty0', after: 'ttyS0' }],
    bootArchive: null,
    bootFiles: {
      path: '/srv/web.img',
      offset: 1_048_576,
      kernel: '/boot/vmlinuz-6.1.0-9',
      initrds: ['/ucode.img', '/boot/initrd.img-6.1.0-9'],
    },
    timeoutMs: 60_000,
  },
  { type: 'leave' },
  { type: 'commit' },
  halt,
  { type: 'abort' },
  { type: 'alive' },
];

const receiverMessages: ReceiverMessage[] = [
  { type: 'ready', protocol: 3, version: '0.1.0' },
  { type: 'ready', protocol: 3, version: '0.1.0', takes: true },
  { type: 'checked', problems: [], warnings: [], freeBytes: Number.MAX_SAFE_INTEGER },
  {
    type: 'checked',
    problems: [
      {
        code: 'target-exists',
        message: ['it is ', { place: 'here' }],
        advice: ['move it: ', { command: 'mv a b' }, { vmferry: 'halt web' }],
      },
      { code: 'target-full', message: ['no room'] },
    ],
    warnings: [{ code: 'kernel-differs', message: 'slow' }],
    freeBytes: 0,
  },
  { type: 'measured' },
  { type: 'opened', spool: '/srv/guests/.vmferry-spool' },
  { type: 'opened', spool: '/srv/guests/.vmferry-spool', continued: true },
  { type: 'has', disk: 0, first: 7, ids: Buffer.alloc(64, 1).toString('base64') },
  { type: 'surveyed' },
  { type: 'applied', id, plainBytes: 65536 },
  { type: 'progress', verifiedBytes: 1 },
  { type: 'verified', fingerprint, readBack: 'direct', warnings: [] },
  {
    type: 'verified',
    fingerprint,
    readBack: 'page-cache-dropped',
    warnings: [{ code: 'owner-not-kept', message: 'the owner was not kept' }],
  },
  { type: 'published', paths: ['/srv/guests/root.img'], warnings: [] },
  { type: 'published', paths: ['/srv/guests/root.img'], grants: [id], warnings: [] },
  { type: 'taken', lacking: [[3, 2]] },
  { type: 'published', paths: [], warnings: [{ code: 'owner-not-kept', message: 'Not kept.' }] },
  { type: 'up', pid: 4711, consoleLog: '/srv/guests/web.console', warnings: [] },
  { type: 'rehearsed', bootMs: 6250, warnings: [] },
  {
    type: 'rehearsed',
    failure: { code: 'boot-failed', message: ['it does not boot ', { place: 'here' }] },
    warnings: [{ code: 'other', message: 'slow' }],
  },
  { type: 'left' },
  { type: 'committed' },
  { type: 'halted', wasRunning: true },
  { type: 'aborted' },
  { type: 'failed', code: 'pack-damaged', message: ['a pack'] },
  { type: 'failed', code: 'internal', message: [], advice: ['tell us'], transient: true },
  { type: 'alive' },
];

function lineOf(message: object): string {
  return JSON.stringify(message);
}

function expectViolation(call: () => unknown): Failure {
  let thrown: unknown = null;
  try {
    call();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(Failure);
  expect(thrown).toHaveProperty('code', 'protocol-violation');
  return thrown as Failure;
}

const byType = (message: Message): [string, Message] => [message.type, message];

describe('messages of the mover', () => {
  test.each(moverMessages.map(byType))('%s is the same on the other side', (_, message) => {
    const line = formatMessage(message);
    expect(line.indexOf('\n')).toBe(line.length - 1);
    expect(parseMoverMessage(line.slice(0, -1))).toEqual(message);
  });

  test.each(receiverMessages.filter(({ type }) => type !== 'alive').map(byType))(
    '%s is not one of them',
    (_, message) => {
      expectViolation(() => parseMoverMessage(lineOf(message)));
    },
  );
});

describe('messages of the receiver', () => {
  test('`up` may give no process', () => {
    const up = { type: 'up', pid: null, consoleLog: '/log', warnings: [] } as const;
    expect(parseReceiverMessage(lineOf(up))).toEqual(up);
  });

  test.each(receiverMessages.map(byType))('%s is the same on the other side', (_, message) => {
    const line = formatMessage(message);
    expect(line.indexOf('\n')).toBe(line.length - 1);
    expect(parseReceiverMessage(line.slice(0, -1))).toEqual(message);
  });

  test.each(moverMessages.filter(({ type }) => type !== 'alive').map(byType))(
    '%s is not one of them',
    (_, message) => {
      expectViolation(() => parseReceiverMessage(lineOf(message)));
    },
  );
});

test.each([
  ['no code, as earlier versions sent it', 'slow'],
  ['an unknown code', { code: 'no-such-code', message: 'slow' }],
])('a warning with %s gets the code `other`', (_, warning) => {
  const line = lineOf({ type: 'checked', problems: [], warnings: [warning], freeBytes: 0 });
  expect(parseReceiverMessage(line)).toHaveProperty('warnings', [{ code: 'other', message: 'slow' }]);
});

describe('refused as a violation of the protocol:', () => {
  test.each([
    ['an empty line', ''],
    ['no JSON', 'Welcome to the new machine!'],
    ['half a message', '{"type":"publi'],
    ['two messages', '{"type":"publish"}{"type":"publish"}'],
    ['null', 'null'],
    ['a number', '1'],
    ['a text', '"publish"'],
    ['a list', '[{"type":"publish"}]'],
    ['no type', '{}'],
    ['an unknown type', '{"type":"reformat"}'],
    ['a type that every object has', '{"type":"constructor"}'],
    ['a type that is no text', '{"type":["publish"]}'],
  ])('%s', (_, line) => {
    expectViolation(() => parseMoverMessage(line));
    expectViolation(() => parseReceiverMessage(line));
  });

  /** Every message with each of its required fields. */
  const optional = [
    'advice',
    'transient',
    'path',
    'overwrite',
    'sourceKernel',
    'needs',
    'claim',
    'begun',
    'continued',
    'disk',
    'bootMs',
    'failure',
    'grants',
    'takes',
    'bootFiles',
    'guestKernel',
  ];
  const lacking = [...moverMessages, ...receiverMessages].flatMap((message) =>
    Object.keys(message)
      .filter((field) => !optional.includes(field))
      .map((field): [string, string, Message] => [message.type, field, message]),
  );
  test.each(lacking)('%s without %s', (_, field, message) => {
    const rest = Object.fromEntries(Object.entries(message).filter(([name]) => name !== field));
    for (const parse of [parseMoverMessage, parseReceiverMessage]) expectViolation(() => parse(lineOf(rest)));
  });

  /** Values of other types. */
  function oddInsteadOf(value: unknown): unknown[] {
    if (Array.isArray(value)) return [null, {}, true, 'odd', 1, [1]];
    switch (typeof value) {
      case 'number':
        return [null, {}, [1], true, '1', Infinity];
      case 'boolean':
        return [null, {}, [true], 'true', 1];
      default:
        return [null, {}, ['odd'], true, 1];
    }
  }

  test.each(lacking.filter(([, field]) => field !== 'guest'))('%s with an odd %s', (_, field, message) => {
    const value = Object.entries(message).find(([name]) => name === field)?.[1];
    // A guest may have no process, a move no directory, a guest nothing to adapt: null, which Infinity is in JSON.
    const allowed = ['pid', 'directory', 'root', 'bootArchive'].includes(field) ? [null, Infinity] : [];
    for (const odd of oddInsteadOf(value).filter((one) => !allowed.includes(one as null)))
      for (const parse of [parseMoverMessage, parseReceiverMessage])
        expectViolation(() => parse(lineOf({ ...message, [field]: odd })));
  });

  test.each(['../root.img', 'a/b', '/etc/passwd', '.hidden', '..', '.', '', 'zero\0byte', 'x'.repeat(241)])(
    'a disk named %j',
    (name) => {
      expectViolation(() => parseMoverMessage(lineOf({ ...open, name })));
      expectViolation(() =>
        parseMoverMessage(lineOf({ type: 'check', directory: '/', guest: null, disks: [{ ...disk, name }] })),
      );
    },
  );

  test.each([
    ['a relative directory', { ...open, directory: 'srv' }],
    ['a relative path', { ...open, path: 'dev/sdb1' }],
    ['a doubtful permission to overwrite', { ...open, overwrite: false }],
    ['an image of 0 bytes', { ...open, sizeBytes: 0 }],
    ['an image of half a byte', { ...open, sizeBytes: 1024.5 }],
    ['an image beyond all numbers', { ...open, sizeBytes: 2 ** 53 }],
    ['small chunks', { ...open, chunkBytes: 4096 }],
    ['a mode of more than 12 bits', { ...open, mode: 0o10000 }],
    ['a negative owner', { ...open, uid: -1 }],
    ['no disks', { type: 'check', directory: '/', guest: null, disks: [] }],
    ['an id in capitals', { type: 'pack', id: id.toUpperCase(), sizeBytes: 1 }],
    ['an id with a path in it', { type: 'pack', id: `../${id.slice(3)}`, sizeBytes: 1 }],
    ['a fingerprint of another kind', { type: 'finish', fingerprint: `md5:${id}` }],
    ['no time to boot', { type: 'boot', guest: {}, timeoutMs: 0 }],
    ['a guest without a name', { ...halt, name: '' }],
  ])('%s', (_, message) => {
    expectViolation(() => parseMoverMessage(lineOf(message)));
  });

  test.each([
    ['an unknown code', { type: 'failed', code: 'no-such-code', message: ['x'] }],
    ['a code that every object has', { type: 'failed', code: 'toString', message: ['x'] }],
    [
      'a problem without a message',
      { type: 'checked', problems: [{ code: 'target-full' }], warnings: [], freeBytes: 0 },
    ],
    [
      'a failure that says it is not transient',
      { type: 'failed', code: 'internal', message: [], transient: false },
    ],
    [
      'a warning without a message',
      { type: 'checked', problems: [], warnings: [{ code: 'other' }], freeBytes: 0 },
    ],
    ['another way of reading back', { type: 'verified', fingerprint, readBack: 'not at all', warnings: [] }],
    ['a process 0', { type: 'up', pid: 0, consoleLog: '/log', warnings: [] }],
    ['a relative path', { type: 'published', paths: ['root.img'], warnings: [] }],
  ])('%s', (_, message) => {
    expectViolation(() => parseReceiverMessage(lineOf(message)));
  });

  test('a long line; the message quotes only its beginning, and has advice', () => {
    const failure = expectViolation(() => parseMoverMessage('#'.repeat(100_000)));
    expect(failure.message.length).toBeLessThan(300);
    expect(failure.advice).toContain('version');
  });
});

test('a message cannot set the prototype of objects', () => {
  const polluted = '{"type":"alive","__proto__":{"polluted":1}}';
  expect(() => parseMoverMessage(polluted)).toThrow(expect.objectContaining({ code: 'protocol-violation' }));
});
