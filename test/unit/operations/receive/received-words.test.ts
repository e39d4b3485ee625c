import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from '@jest/globals';

/**
 * What a receiver finds wrong is read at the old hardware. So no text in the code that a receiver runs may
 * say "here" or have a command to type, unless as a piece that is worded where it is read (placed-text.ts).
 * This looks at all texts of all files that a receiver can reach by its imports.
 */
const source = join(import.meta.dirname, '../../../../src');
const roots = [
  'operations/receive/receive.ts',
  'guest/drivers/uml/driver.ts',
  'guest/record-store.ts',
  'workers/frame-pool.ts',
  'workers/frame-worker.ts',
];

function reachable(): string[] {
  const found = new Set<string>();
  const waiting = roots.map((file) => join(source, file));
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (found.has(file) || !existsSync(file)) continue;
    found.add(file);
    const imports = readFileSync(file, 'utf8').matchAll(
      /^(?:import|export) (?!type )[^;]*?from '(\.[^']+)';/gm,
    );
    for (const [, path = ''] of imports) waiting.push(join(dirname(file), path));
  }
  return [...found].filter((file) => !file.endsWith('placed-text.ts') && !file.endsWith('wire/messages.ts'));
}

/** The texts of a file: its literals, without its comments, its imports, and what is put into templates. */
function textsOf(code: string): string[] {
  const texts: string[] = [];
  const literal =
    /\/\*[\s\S]*?\*\/|\/\/.*|^import [\s\S]*?;$|'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"|\/(?:[^/\\\n*[ ]|\\.|\[(?:[^\]\\\n]|\\.)*\])(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])*\/[a-z]*|[`{}]/gm;
  /** The depth of braces in each unfinished template, the innermost last. */
  const templates: { depth: number; text: string }[] = [];
  let depth = 0;
  let from = 0;
  for (;;) {
    const template = templates.at(-1);
    if (template !== undefined && template.depth === depth) {
      // Within a template: up to its end, or to what is put into it.
      const part = /(?:[^`\\$]|\\[\s\S]|\$(?!\{))*/y;
      part.lastIndex = from;
      template.text += part.exec(code)?.[0] ?? '';
      from = part.lastIndex;
      if (code[from] === '`') {
        texts.push(template.text);
        templates.pop();
        from += 1;
      } else {
        template.text += '…';
        depth += 1;
        from += 2;
      }
      continue;
    }
    literal.lastIndex = from;
    const found = literal.exec(code);
    if (found === null) return texts;
    from = literal.lastIndex;
    if (found[0] === '`') templates.push({ depth, text: '' });
    else if (found[0] === '{') depth += 1;
    else if (found[0] === '}') depth -= 1;
    else texts.push(found[1] ?? found[2] ?? '');
  }
}

test('the texts of a file are found', () => {
  const code =
    "// it's\nconst a = /['`]/.test(b) ? `x ${c ? `in ${d}` : 'no'} y` : \"it's\"; /* ` */ f({ g: 'h' });";
  expect(textsOf(code).filter(Boolean)).toEqual(['in …', 'no', 'x … y', "it's", 'h']);
});

const places = /\bhere\b|this machine|new hardware|\bvmferry (?:[a-z]+(?: |-|$|`)|…)/;
/** Texts about the program vmferry, with no command in them. */
const harmless = [
  'vmferry remembers of guests',
  'vmferry on both machines',
  'vmferry may have written it',
  'Run vmferry as the user',
  'vmferry cannot boot',
  'vmferry cannot run',
  'vmferry cannot tell',
  'vmferry leave the guest',
  'vmferry has no keys',
  'vmferry does not know',
  'vmferry names 1',
];

test('no text that a receiver may send says "here", or has a command for the machine that it runs on', () => {
  const files = reachable();
  expect(files.length).toBeGreaterThan(40);
  const wrong = files.flatMap((file) =>
    textsOf(readFileSync(file, 'utf8'))
      .filter((text) => places.test(harmless.reduce((rest, words) => rest.replaceAll(words, ''), text)))
      .map((text) => `${relative(source, file)}: ${text}`),
  );
  expect(wrong).toEqual([]);
});

/** A message that is copied as a string would lose its pieces, and say "here" after all. */
test('no failure that a receiver may send has the message of another in its own', () => {
  const wrong = reachable().flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/\$\{\w*[fF]ailure\.message\}.*/g)].map(
      ([text]) => `${relative(source, file)}: ${text}`,
    ),
  );
  expect(wrong).toEqual([]);
});
