import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';
import process from 'node:process';
import { expect, test } from '@jest/globals';
import { describeWithTools } from '../../support/programs/tools.ts';

const built = pathToFileURL(join(import.meta.dirname, '../../../dist/cli/terminal/terminal-prompt.js')).href;
/** Asks twice, and prints the answers in hexadecimal, to tell them from an echo. */
const program = `
  import { terminalPrompt } from '${built}';
  const ask = terminalPrompt(process.stdin, process.stderr);
  const { signal } = new AbortController();
  const hex = (text) => Buffer.from(text).toString('hex');
  try {
    console.log('first', hex(await ask('First? ', signal)));
    console.log('second', hex(await ask('Second? ', signal)));
  } catch (error) {
    console.log('failed', error.code);
  }
`;

/** Runs the program on its own terminal, and types each answer after its question. */
async function talk(answers: readonly [question: string, answer: string][]): Promise<string> {
  const quoted = `'${program.replaceAll("'", String.raw`'\''`)}'`;
  const command = `${process.execPath} --input-type=module -e ${quoted}; stty -a`;
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '', SHELL: '/bin/sh' },
  });
  const left = [...answers];
  let shown = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
    const [next] = left;
    if (next === undefined || !shown.includes(next[0])) return;
    left.shift();
    child.stdin.write(next[1]);
  });
  await once(child, 'close');
  return shown;
}

describeWithTools('a terminal', ['script', 'stty'], () => {
  test('does not show the answers, and echoes again afterwards', async () => {
    const shown = await talk([
      ['First? ', 'correct horse\r'],
      ['Second? ', 'Fähre\r'],
    ]);
    expect(shown).toContain(`first ${Buffer.from('correct horse').toString('hex')}`);
    expect(shown).toContain(`second ${Buffer.from('Fähre').toString('hex')}`);
    expect(shown).not.toMatch(/correct|horse|hre\b/);
    expect(shown).toMatch(/(?<!-)\becho\b/);
    expect(shown).toMatch(/(?<!-)\bicanon\b/);
  });

  test('Ctrl-C interrupts the question', async () => {
    const shown = await talk([['First? ', 'half\u0003']]);
    expect(shown).toContain('failed interrupted');
    expect(shown).toMatch(/(?<!-)\bicanon\b/);
  });
});
