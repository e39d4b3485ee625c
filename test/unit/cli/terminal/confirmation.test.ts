import { PassThrough } from 'node:stream';
import { expect, test } from '@jest/globals';
import { confirmation } from '../../../../src/cli/terminal/confirmation.ts';

const { signal } = new AbortController();

/** The shown question, and whether the typed text counts as a yes. */
async function ask(question: string, typed: string): Promise<{ shown: string; answer: boolean }> {
  const stdin = Object.assign(new PassThrough(), { isTTY: true });
  const stderr = new PassThrough();
  const answering = confirmation(stdin, stderr)?.(question, signal);
  stdin.end(typed);
  const answer = (await answering) === true;
  return { shown: String(stderr.read()), answer };
}

test('only the answer yes confirms', async () => {
  expect((await ask('Is it off? ', 'yes\n')).answer).toBe(true);
  for (const typed of ['y\n', 'no\n', '\n', '']) expect((await ask('Is it off? ', typed)).answer).toBe(false);
});

test('a host name from a backup cannot overwrite the question', async () => {
  const { shown } = await ask('Is web\x1b[2K\rAll is well. off? ', 'no\n');
  expect(shown).toBe(String.raw`Is web\x1b[2K\x0dAll is well. off? `);
});

test('without a terminal there is no question', () => {
  expect(confirmation(new PassThrough(), new PassThrough())).toBeNull();
});
