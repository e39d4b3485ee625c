import { expect, test } from '@jest/globals';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readGrubEnvironment } from '../../../../src/guest/boot-menu/grub-environment.ts';
import { readMenu } from '../../../../src/guest/boot-menu/read-menu.ts';
import { Failure } from '../../../../src/failure.ts';

const fixtures = join(import.meta.dirname, '../../../../fixtures/boot-menus');
const languages = ['grub2', 'grub1', 'extlinux'] as const;
const expected = JSON.parse(readFileSync(join(fixtures, 'expected.json'), 'utf8')) as Record<string, unknown>;

const menus = languages.flatMap((language) =>
  readdirSync(join(fixtures, language))
    .filter((name) => /\.(?:cfg|lst|conf)$/.test(name))
    .map((name) => ({ language, name })),
);

/** What boots by itself, or why the menu cannot be followed. */
function reading(language: (typeof languages)[number], name: string): unknown {
  const path = join(fixtures, language, name);
  const base = path.replace(/\.\w+$/, '');
  const environment = existsSync(`${base}.grubenv`) ? readFileSync(`${base}.grubenv`, 'utf8') : '';
  const entries = existsSync(`${base}.entries`) ? readdirSync(`${base}.entries`) : [];
  const loaderFiles = entries.map((entry) => ({
    id: entry.replace(/\.conf$/, ''),
    path: `/boot/loader/entries/${entry}`,
    text: readFileSync(join(`${base}.entries`, entry), 'utf8'),
  }));
  const menu = { path: `/boot/${language}/${name}`, text: readFileSync(path, 'utf8') };
  try {
    const read = readMenu(language, menu, { environment: readGrubEnvironment(environment), loaderFiles });
    const { title, kernel, initrds, arguments: words, leftOut } = read;
    return { title, kernel, initrds, arguments: words.join(' '), ...(leftOut.length > 0 && { leftOut }) };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    expect(error).toMatchObject({
      code: 'guest-unsupported',
      advice: expect.stringContaining('--kernel FILE'),
    });
    return { refused: error.message };
  }
}

test('each menu has an expectation, and each expectation a menu', () => {
  expect(menus.map(({ language, name }) => `${language}/${name}`).toSorted()).toEqual(
    Object.keys(expected).toSorted(),
  );
});

test.each(menus)('$language/$name boots by itself what is expected', ({ language, name }) => {
  expect(reading(language, name)).toEqual(expected[`${language}/${name}`]);
});
