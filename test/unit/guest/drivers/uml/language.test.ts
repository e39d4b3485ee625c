import { describe, expect, test } from '@jest/globals';
import { umlLanguage } from '../../../../../src/guest/drivers/uml/language.ts';

const place = { name: 'web.sh', directory: '/srv/guests' };

describe('a User Mode Linux command line in a file', () => {
  test.each([
    'linux.uml ubd0=web.img mem=64M umid=web root=/dev/ubda',
    '#!/bin/sh\ncd /srv/guests\nUML_DIR=/run/uml exec xterm -e linux.uml ubd0=web.img \\\n  mem=64M umid=web root=/dev/ubda &\n',
  ])('is read: %j', (text) => {
    expect(umlLanguage.recognizes(text, 'web.sh')).toBe(true);
    expect(umlLanguage.read(text, place)).toEqual({
      definition: {
        name: 'web',
        driver: 'uml',
        memoryBytes: 67_108_864,
        cpuCount: null,
        kernel: null,
        initrd: null,
        disks: [{ device: 'ubd0', path: '/srv/guests/web.img', readOnly: false }],
        commandLine: ['root=/dev/ubda'],
      },
      problems: [],
    });
  });

  test('is read again as it was written', () => {
    const { definition } = umlLanguage.read(
      './linux "ubd0=\\"a b.img\\"" ubd1r=/srv/x.img mem=64M con=null con0=null eth0=tuntap,,02:00:00:00:00:01',
      place,
    );
    expect(definition).toMatchObject({ name: 'web', kernel: '/srv/guests/linux' });
    expect(umlLanguage.read(umlLanguage.write(definition), place)).toEqual({ definition, problems: [] });
  });

  test.each([
    ['ls', /no command with a disk/],
    ['linux ubd0=a\nlinux ubd0=b', /line 1 and in line 2/],
    ['linux ubd0=$HOME/a', /the shell would change ubd0=\$HOME\/a/],
  ])('is refused: %j', (text, message) => {
    expect(() => umlLanguage.read(text, place)).toThrow(message);
  });

  test('keeps a copy-on-write disk, with its backing file', () => {
    const { definition, problems } = umlLanguage.read('linux ubd0=a.cow,b.img umid=web', place);
    expect(problems).toEqual([]);
    const again = umlLanguage.read(umlLanguage.write(definition), place);
    expect(again.definition.disks).toEqual(definition.disks);
  });

  test.each(['<domain type="kvm"/>', 'name = "web"\n', "qemu-system-x86_64 -hda 'a", '', '"'])(
    'is not seen in %j',
    (text) => {
      expect(umlLanguage.recognizes(text, 'web.cfg')).toBe(false);
    },
  );
});
