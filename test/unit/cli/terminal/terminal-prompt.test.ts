import { PassThrough } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import { terminalPrompt } from '../../../../src/cli/terminal/terminal-prompt.ts';
import { codeOf } from '../../../support/failures.ts';
import { MemoryStream } from '../streams.ts';

/** A terminal that records whether it echoes. */
class Terminal extends PassThrough {
  isTTY = true;
  isRaw = false;
  modes: boolean[] = [];
  setRawMode(raw: boolean): this {
    this.isRaw = raw;
    this.modes.push(raw);
    return this;
  }
}

function start() {
  const terminal = new Terminal();
  const stderr = new MemoryStream();
  const controller = new AbortController();
  const ask = terminalPrompt(terminal, stderr);
  if (ask === null) throw new Error('it is a terminal');
  return { terminal, stderr, controller, answer: ask('Passphrase: ', controller.signal) };
}

describe('the question for a secret', () => {
  test('is answered by a line that is not shown', async () => {
    const { terminal, stderr, answer } = start();
    terminal.write('correct horsf\u007fe\r');
    expect(await answer).toBe('correct horse');
    expect(stderr.text).toBe('Passphrase: \n');
    expect(terminal.modes).toEqual([true, false]);
  });

  test('ends at Ctrl-C, the end of input, and an abort', async () => {
    const interrupted = start();
    interrupted.terminal.write('corr\u0003');
    expect(await codeOf(() => interrupted.answer)).toBe('interrupted');

    const ended = start();
    ended.terminal.write('\u0004');
    expect(await codeOf(() => ended.answer)).toBe('key-missing');

    const aborted = start();
    aborted.controller.abort(new Error('over'));
    await expect(aborted.answer).rejects.toThrow('over');
    for (const { terminal } of [interrupted, ended, aborted]) expect(terminal.isRaw).toBe(false);
  });

  test('is not asked without a terminal', () => {
    expect(terminalPrompt(new PassThrough(), new MemoryStream())).toBeNull();
  });
});
