import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { diskChanges } from '../../../../src/guest/adaptation/disk-names.ts';
import { editFstab } from '../../../../src/guest/adaptation/edit-fstab.ts';
import { guestWithDisks } from './definitions.ts';

const disks = diskChanges(guestWithDisks('uml', ['ubd0', 'ubd1']), guestWithDisks('qemu', ['vda', 'vdb']));
const edit = (text: string) => editFstab(text, disks);

describe('an edited fstab', () => {
  test('names the disks as the new hypervisor does, and changes nothing else', () => {
    const text = [
      '# /etc/fstab: /dev/ubda is the root',
      '/dev/ubda\t/   ext3  errors=remount-ro 0 1',
      '  /dev/ubdb2 /home ext3 defaults 0 2 # /dev/ubdb2',
      'LABEL=data /data ext3 defaults 0 2\r',
      'UUID=1234 none swap sw 0 0',
      'proc /proc proc defaults 0 0',
      '',
      'nonsense',
      '/dev/ubda /mnt ext3',
    ].join('\n');
    expect(edit(text).text).toBe(
      text
        .replace('/dev/ubda\t', '/dev/vda\t')
        .replace('/dev/ubdb2 /home', '/dev/vdb2 /home')
        .replace('/dev/ubda /mnt', '/dev/vda /mnt'),
    );
    expect(edit(text).changes).toContain('/etc/fstab: /dev/ubdb2 is /dev/vdb2 now.');
  });

  test('makes a comment of swap on a disk that is not there', () => {
    const { text, changes, warnings } = edit('/dev/ubdc none swap sw,nofail 0 0\r\n');
    expect(text).toBe('# vmferry: /dev/ubdc none swap sw,nofail 0 0\r\n');
    expect(changes).toEqual([
      '/etc/fstab: swap on /dev/ubdc is switched off, because the disk is not there.',
    ]);
    expect(warnings).toEqual([]);
  });

  test('keeps a mount of a disk that is not there, and warns', () => {
    const text = '/dev/ubdc /data ext3 defaults 0 2\n/dev/ubdd /media ext3 noauto 0 0';
    expect(edit(text)).toMatchObject({ text, changes: [] });
    expect(edit(text).warnings).toEqual([expect.stringContaining('/dev/ubdc on /data')]);
  });
});

const blank = fc.constantFrom(' ', '\t', '  \t');
const device = fc.constantFrom(
  '/dev/ubda',
  '/dev/ubdb3',
  '/dev/ubdc',
  '/dev/vda',
  'LABEL=a',
  '/swapfile',
  'x',
);
const entry = fc
  .tuple(
    device,
    blank,
    fc.constantFrom('/', 'none', '/a\\040b'),
    blank,
    fc.constantFrom('ext3', 'swap'),
    blank,
  )
  .map((parts) => `${parts.join('')}defaults 0 0`);
const line = fc.oneof(entry, fc.string(), fc.constant('# /dev/ubda / ext3'), fc.constant(''));
const fstab = fc
  .tuple(fc.array(line), fc.constantFrom('\n', '\r\n'), fc.boolean())
  .map(([lines, end, isEnded]) => lines.join(end) + (isEnded ? end : ''));

describe('any fstab', () => {
  test('is edited once: a second edit changes nothing', () => {
    fc.assert(
      fc.property(fstab, (text) => {
        const once = edit(text).text;
        expect(edit(once)).toMatchObject({ text: once, changes: [] });
      }),
    );
  });

  test('keeps its lines, and all of them that name no disk of the guest', () => {
    fc.assert(
      fc.property(fstab, (text) => {
        const [before, after] = [text.split('\n'), edit(text).text.split('\n')];
        expect(after).toHaveLength(before.length);
        for (const [index, old] of before.entries())
          if (!/\/dev\/ubd/.test(old)) expect(after[index]).toBe(old);
      }),
    );
  });
});
