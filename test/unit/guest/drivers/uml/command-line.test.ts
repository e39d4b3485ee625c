import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { GuestDefinition } from '../../../../../src/guest/definition.ts';
import {
  parseUmlCommandLine,
  requestedUmid,
  umlCommandLine,
} from '../../../../../src/guest/drivers/uml/command-line.ts';

const kernel = '/usr/bin/linux.uml';

function parse(...args: string[]) {
  return parseUmlCommandLine('web', { kernel, argv: ['linux', ...args], workingDirectory: '/srv/guests' });
}

describe('reading a command line', () => {
  test('turns arguments into fields, and keeps the other arguments in order', () => {
    const definition = parse(
      'ubd0=web.img',
      'root=/dev/ubda',
      'mem=128M',
      'umid=web',
      'ubd1rs=/srv/data.img',
      'rw',
      'eth0=tuntap,,,192.0.2.1',
      'initrd=../initrd.gz',
      'ncpus=2',
      'uml_dir=/run/uml',
      'con=pts',
      'quiet',
    );
    expect(definition).toEqual({
      name: 'web',
      driver: 'uml',
      memoryBytes: 134_217_728,
      cpuCount: 2,
      kernel,
      initrd: '/srv/initrd.gz',
      disks: [
        { device: 'ubd0', path: '/srv/guests/web.img', readOnly: false },
        { device: 'ubd1', path: '/srv/data.img', readOnly: true, flags: 's' },
      ],
      commandLine: ['root=/dev/ubda', 'rw', 'eth0=tuntap,,,192.0.2.1', 'con=pts', 'quiet'],
    } satisfies GuestDefinition);
  });

  test.each([
    ['64M', 67_108_864],
    ['65536k', 67_108_864],
    ['1G', 1_073_741_824],
    ['67108864', 67_108_864],
  ])('mem=%s is %d bytes', (amount, memoryBytes) => {
    expect(parse(`mem=${amount}`).memoryBytes).toBe(memoryBytes);
  });

  test('keeps arguments that it does not understand', () => {
    const odd = ['mem=lots', 'ncpus=many', 'ubd=sync', 'ubd0=', 'initrd=', 'con', 'ubd=file', '=x'];
    const definition = parse(...odd);
    expect(definition).toMatchObject({
      memoryBytes: null,
      cpuCount: null,
      initrd: null,
      disks: [],
      commandLine: odd,
    });
  });

  test('reads slots named by letters, the first file of a slot, and a serial number', () => {
    const { disks } = parse(
      'ubda=/a.img',
      'ubda=/other.img',
      'ubdbr=/b.img',
      'ubd2=/c.img,,SN:1',
      'ubd10d=/d.img',
    );
    expect(disks).toEqual([
      { device: 'ubda', path: '/a.img', readOnly: false },
      { device: 'ubdb', path: '/b.img', readOnly: true },
      { device: 'ubd2', path: '/c.img', readOnly: false, serial: 'SN' },
      { device: 'ubd10', path: '/d.img', readOnly: false, flags: 'd' },
    ]);
  });

  test('splits at spaces, as the kernel does, but not between quotation marks', () => {
    const definition = parse('ubd0="/srv/my disk.img"', 'root=/dev/ubda rw  quiet');
    expect(definition.disks[0]?.path).toBe('/srv/my disk.img');
    expect(definition.commandLine).toEqual(['root=/dev/ubda', 'rw', 'quiet']);
  });

  test.each(['ubd0=web.cow,web.img', 'ubd0=web.cow:web.img', 'ubd0=web.cow,web.img,SN'])(
    'finds both files of %s, and writes them again',
    (argument) => {
      const definition = parse(argument);
      const [disk] = definition.disks;
      expect(disk).toMatchObject({
        path: '/srv/guests/web.cow',
        format: 'cow',
        backing: '/srv/guests/web.img',
      });
      const serial = disk?.serial === undefined ? '' : ',SN';
      expect(umlCommandLine(definition)[0]).toBe(`ubd0=/srv/guests/web.cow,/srv/guests/web.img${serial}`);
    },
  );

  test('finds the requested umid, and ignores the name of the program', () => {
    expect(requestedUmid(['umid=program', 'mem=1M', 'umid=web', 'umid=later'])).toBe('web');
    expect(requestedUmid(['linux'])).toBeNull();
  });
});

describe('writing a command line', () => {
  const bare: GuestDefinition = {
    name: 'web',
    driver: 'uml',
    memoryBytes: null,
    cpuCount: null,
    kernel,
    initrd: null,
    disks: [],
    commandLine: [],
  };
  const consolesOf = (...commandLine: string[]) =>
    umlCommandLine({ ...bare, commandLine }).filter((argument) => argument !== 'umid=web');

  test('writes every field', () => {
    expect(
      umlCommandLine({
        ...bare,
        memoryBytes: 100 * 2 ** 20,
        cpuCount: 2,
        initrd: '/boot/initrd',
        disks: [{ device: 'ubd0', path: '/srv/my disk.img', readOnly: true, flags: 's', serial: 'SN' }],
        commandLine: ['con=null', 'con0=null,fd:1', 'root=/dev/ubda'],
      }),
    ).toEqual([
      'ubd0rs="/srv/my disk.img",,SN',
      'mem=100M',
      'umid=web',
      'ncpus=2',
      'initrd=/boot/initrd',
      'con=null',
      'con0=null,fd:1',
      'root=/dev/ubda',
    ]);
  });

  test.each([
    ['none given', [], ['con=null', 'con0=null,fd:1']],
    ['on the terminal', ['con0=fd:0,fd:1'], ['con=null', 'con0=null,fd:1']],
    ['one descriptor for both', ['con0=fd:0', 'con=pts'], ['con0=null,fd:1', 'con=pts']],
    ['on the terminal by default', ['con=fd:0,fd:1'], ['con=null,fd:1']],
    [
      'in terminal windows',
      ['con=xterm', 'con0=fd:0,fd:1', 'ssl=xterm'],
      ['con=null', 'con0=null,fd:1', 'ssl=null'],
    ],
    ['all away', ['con=null'], ['con=null']],
    [
      'elsewhere',
      ['con=pts', 'con0=tty:/dev/tty9', 'con1=port:9000', 'ssl0=pty', 'console=tty0'],
      ['con=pts', 'con0=tty:/dev/tty9', 'con1=port:9000', 'ssl0=pty', 'console=tty0'],
    ],
    ['a serial line on the terminal', ['con=null', 'ssl0=fd:0,fd:1'], ['con=null', 'ssl0=null,fd:1']],
  ])('detaches consoles from the terminal: %s', (_, before, after) => {
    expect(consolesOf(...before)).toEqual(after);
  });

  test.each(['/a,b.img', '/a:b.img', '/a"b.img'])(
    'refuses the path %s, which the kernel would misread',
    (path) => {
      expect(() => umlCommandLine({ ...bare, disks: [{ device: 'ubd0', path, readOnly: false }] })).toThrow(
        expect.objectContaining({ code: 'guest-unsupported' }),
      );
    },
  );
});

describe('writing and reading', () => {
  const path = fc
    .array(
      fc.stringMatching(/^[A-Za-z0-9_. @+-]{1,12}$/).filter((part) => part !== '.' && part !== '..'),
      {
        minLength: 1,
        maxLength: 4,
      },
    )
    .map((parts) => `/${parts.join('/')}`);
  const disk = fc.record(
    {
      path,
      readOnly: fc.boolean(),
      flags: fc.stringMatching(/^[scdt]{1,3}$/),
      serial: fc.stringMatching(/^[A-Za-z0-9]{1,10}$/),
    },
    { requiredKeys: ['path', 'readOnly'] },
  );
  const copyOnWrite = fc
    .record({ disk, backing: path })
    .map(({ disk: one, backing }) => ({ ...one, format: 'cow' as const, backing }));
  const disks = fc
    .array(fc.oneof(disk, copyOnWrite), { maxLength: 8 })
    .map((list) => list.map((one, number) => ({ device: `ubd${number}`, ...one })));
  const other = fc.constantFrom(
    'root=/dev/ubda',
    'rw',
    'quiet',
    'eth0=tuntap,,,192.0.2.1',
    'con1=pts',
    'init=/bin/sh',
    'ubd=sync',
    '--',
    'x="a b"',
  );
  const definition = fc.record({
    name: fc.stringMatching(/^[A-Za-z0-9_]{1,20}$/),
    driver: fc.constant('uml' as const),
    memoryBytes: fc.option(fc.integer({ min: 1, max: 2 ** 40 })),
    cpuCount: fc.option(fc.integer({ min: 1, max: 64 })),
    kernel: fc.constant(kernel),
    initrd: fc.option(fc.stringMatching(/^\/[a-z]{1,10}$/)),
    disks,
    commandLine: fc.array(other).map((rest) => ['con=null', 'con0=null,fd:1', ...rest]),
  });

  const reread = (written: GuestDefinition) =>
    parseUmlCommandLine(written.name, {
      kernel: written.kernel ?? '',
      argv: ['linux', ...umlCommandLine(written)],
      workingDirectory: '/anywhere',
    });

  test('give the same definition', () => {
    fc.assert(
      fc.property(definition, (written) => {
        expect(reread(written)).toEqual(written);
      }),
    );
  });

  test('change the consoles at most once; from then on the definition stays the same', () => {
    const consoles = fc.array(
      fc.constantFrom('con=fd:0,fd:1', 'con0=xterm', 'con0=fd:0', 'con=pts', 'ssl=xterm', 'con3=null,fd:3'),
    );
    fc.assert(
      fc.property(definition, consoles, (written, commandLine) => {
        const once = reread({ ...written, commandLine });
        expect(reread(once)).toEqual(once);
      }),
    );
  });
});
