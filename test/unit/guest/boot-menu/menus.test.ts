import { expect, test } from '@jest/globals';
import process from 'node:process';
import fc from 'fast-check';
import { Failure } from '../../../../src/failure.ts';
import { readMenu } from '../../../../src/guest/boot-menu/read-menu.ts';
import { seededRandom, testSeed } from '../../../support/seeded-random.ts';

const seed = testSeed();
const languages = ['grub2', 'grub1', 'extlinux'] as const;
const nothing = { environment: new Map<string, string>(), loaderFiles: [] };
const read = (text: string, language: (typeof languages)[number] = 'grub2') =>
  readMenu(language, { path: '/boot/menu', text }, nothing);

const word = fc.stringMatching(/^[a-zA-Z0-9_.=,/-]{1,20}$/).map((text) => `a${text}`);
const file = fc.stringMatching(/^[a-zA-Z0-9_=,-]{1,20}$/);
const title = fc.stringMatching(/^[a-zA-Z(),.' 0-9-]{1,30}$/).map((text) => `T${text}`);
const entry = fc.record({
  title,
  kernel: file,
  initrds: fc.array(file, { maxLength: 3 }),
  words: fc.array(word),
});

/** As the shell quotes, and GRUB: a quotation mark is between two quotations. */
const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

test(`what was written into a grub.cfg is read from it (seed ${seed})`, () => {
  const menus = fc.array(entry, { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(menus, fc.nat(4), fc.boolean(), (entries, chosen, isQuoted) => {
      const text = entries
        .map(({ title: name, kernel, initrds, words }) => {
          const said = words.map((one) => (isQuoted ? quoted(one) : one)).join(isQuoted ? '\t' : ' \\\n  ');
          const initrd =
            initrds.length === 0 ? '' : `\n\tinitrd ${initrds.map((one) => `/${one}`).join(' ')}`;
          return `menuentry ${quoted(name)} --class x {\n\tlinux\t/${kernel} ${said}${initrd}\n}\n`;
        })
        .join('');
      const wanted = entries[chosen] ?? entries[0];
      expect(read(`set default="${chosen}"\n${text}`)).toMatchObject({
        title: wanted?.title,
        kernel: `/${wanted?.kernel}`,
        initrds: wanted?.initrds.map((one) => `/${one}`),
        arguments: wanted?.words,
      });
    }),
    { seed },
  );
});

const MIB = 2 ** 20;
const few = 'menuentry x {\nlinux /k root=/dev/sda1\n}\n';

test.each([
  ['blocks in blocks', 'submenu x {\n'.repeat(33), 'line 33 is in more than 32 blocks'],
  ['1001 entries', 'menuentry x {\n}\n'.repeat(1001), 'line 2001 begins more than 1000 entries'],
  ['an entry in an entry', 'menuentry x {\nmenuentry y {\n}\n}\n', 'line 2 begins an entry within an entry'],
  ['an end without a beginning', '}\n', 'line 1 ends a block that never began'],
  ['arguments without end', `menuentry x {\nlinux /k ${'a '.repeat(3000)}\n}\n`, 'line 2 has more than 4096'],
  ['initial RAM disks', `menuentry x {\nlinux /k\ninitrd ${'/i '.repeat(9)}\n}\n`, 'line 2 has more than 8'],
  ['a control character', `menuentry x {\nlinux /k a\u001b[2J\n}\n`, 'line 2 has a control character'],
  ['a path of 2000 characters', `menuentry x {\nlinux /${'k'.repeat(2000)}\n}\n`, 'line 2 names /kkkkk'],
  [
    '17 unknown variables',
    `menuentry x {\nlinux /k ${Array.from({ length: 17 }, (_, at) => `$v${at} `).join('')}\n}\n`,
    'line 2 has more than 16 words with variables',
  ],
  [
    '33 unknown variables in a word',
    `menuentry x {\nlinux /k${'$a'.repeat(33)}\n}\n`,
    'line 2 has more than 32 unknown',
  ],
  [
    'a path with a line break',
    "menuentry x {\nlinux '/k\nwarning: forged'\n}\n",
    'line 2 names /k?warning: forged, which',
  ],
  [
    'variables that double',
    `v0=xx\n${Array.from({ length: 64 }, (_, at) => `v${at + 1}="\${v${at}}\${v${at}}"\n`).join('')}${few}`,
    'makes the menu too long by its variables',
  ],
])('a menu with %s is refused with its line', (_, text, why) => {
  expect(() => read(text)).toThrow(Failure);
  expect(() => read(text)).toThrow(why);
});

test('a line of 1 MiB is read, and does not take long', () => {
  for (const language of languages) {
    const before = process.cpuUsage();
    try {
      read(`${' \t'.repeat(MIB / 4)}${'x'.repeat(MIB / 4)}${'$'.repeat(MIB / 4)}`, language);
    } catch (error) {
      expect(error).toMatchObject({ message: "The guest's boot menu /boot/menu has no entries." });
    }
    // Far more than it takes: only work that grows with the square of the line takes longer.
    expect(process.cpuUsage(before).user / 1e6).toBeLessThan(60);
  }
});

test('the same unknown variable is told of once, with what a terminal would obey replaced', () => {
  const text = `menuentry x {\nlinux /k ${'$a '.repeat(300_000)}"p\u001b[2J$b-$c"\n}\n`;
  expect(read(text).leftOut).toEqual(['$a', 'p?[2J$b-$c']);
});

test('a program of 200 kB in an extlinux.conf is named in short', () => {
  const text = `LABEL x\nKERNEL ${'k'.repeat(200_000)}.c32\n`;
  expect(() => read(text, 'extlinux')).toThrow(`line 2 boots with ${'k'.repeat(80)}…, not Linux itself`);
});

test('of the files of /boot/loader/entries only that of the chosen entry is split into words', () => {
  // Split at each `blscfg`, these would be 500 million words.
  const text = `title X\nlinux /k\noptions ${'a '.repeat(500_000)}\n`;
  const loaderFiles = [
    { id: '1', path: '/boot/loader/entries/1.conf', text },
    { id: '2', path: '/boot/loader/entries/2.conf', text: 'title Y\nlinux /vmlinuz-$a$b\n' },
  ];
  const menu = { path: '/boot/menu', text: 'set default=1\n'.concat('blscfg\n'.repeat(500)) };
  const choose = (chosen: string) =>
    readMenu(
      'grub2',
      { ...menu, text: `${menu.text}set default=${chosen}\n` },
      { loaderFiles, environment: new Map([['a', '6']]) },
    );
  expect(() => choose('X')).toThrow(
    '/boot/loader/entries/1.conf cannot be followed: line 2 has more than 4096',
  );
  expect(() => choose('2')).toThrow(
    '/boot/loader/entries/2.conf cannot be followed: line 2 has the variable b in a path',
  );
});

test('200,000 keywords in a line do not take long', () => {
  const before = process.cpuUsage();
  expect(read(`${'then '.repeat(200_000)}\n${few}`).title).toBe('x');
  expect(process.cpuUsage(before).user / 1e6).toBeLessThan(20);
});

test(`noise is read, or refused with a line; nothing else happens (seed ${seed})`, () => {
  const random = seededRandom(seed);
  // prettier-ignore
  const pieces = [
    'menuentry', 'submenu', ' x', ' {', '\n', '}\n', 'linux /k', 'initrd /i', '"', "'", '\\', '$', '${', 'set ',
    'default=', 'title ', 'kernel /k ', 'LABEL x\n', 'APPEND ', 'INCLUDE y\n', '#', ';', '\u0000', 'é', '\t', '(hd0)', '../..', '\r', 'if [ ', '"$a"', ' = ', ' -o ', ' ! ', ' ]', 'then ', 'elif ', 'else ', 'fi\n', 'for a', 'done',
  ];
  for (let round = 0; round < 3000; round++) {
    const count = Math.floor(random() * 40);
    const text = Array.from({ length: count }, () => pieces[Math.floor(random() * pieces.length)]).join('');
    for (const language of languages)
      try {
        const { kernel, initrds } = read(text, language);
        for (const path of [kernel, ...initrds]) expect(path).toMatch(/^\/(?!.*\/\.\.(?:\/|$))/s);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        expect(error.message).toMatch(/ line \d+ | has no entries/);
      }
  }
});
