import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { afterAll, beforeEach, describe, expect, test } from '@jest/globals';
import { loadConfig } from '../../src/config/load-config.ts';
import { readPackFile } from '../../src/workers/pack-file.ts';
import { openImage } from '../../src/image/open-image.ts';
import { createPassphraseSource } from '../../src/operations/store-access/passphrase-source.ts';
import { codeOf } from '../support/failures.ts';
import { programFile } from '../support/programs/command-line.ts';
import { scratchDirectory } from '../support/images/images.ts';

const scratch = scratchDirectory();
const { signal } = new AbortController();
let fifos = 0;
let fifo: string;

beforeEach(() => {
  fifo = join(scratch.path, `fifo-${fifos++}`);
  expect(spawnSync('mkfifo', ['-m', '600', fifo]).status).toBe(0);
});
afterAll(() => {
  scratch[Symbol.dispose]();
});

function passphrase(until: AbortSignal): Promise<unknown> {
  const request = { file: fifo, command: null, keyFile: null, options: '--passphrase-file' };
  return createPassphraseSource(request, null, until)('open');
}

describe('a FIFO without a writer', () => {
  test('is refused as a received pack, a configuration and an image, without waiting', async () => {
    expect(await codeOf(async () => readPackFile(fifo, 1000, (size) => Buffer.alloc(size)))).toBe(
      'pack-damaged',
    );
    expect(await codeOf(() => loadConfig({}, { signal, report: () => undefined }, [fifo]))).toBe(
      'not-permitted',
    );
    expect(await codeOf(async () => openImage(fifo))).toBe('image-not-a-disk');
  });

  test('as a passphrase file is waited for until an interruption', async () => {
    const stop = new AbortController();
    const reason = new Error('stopped by the test');
    const waiting = passphrase(stop.signal);
    stop.abort(reason);
    await expect(waiting).rejects.toBe(reason);
  });
});

describe('a passphrase from a FIFO', () => {
  test('is read in pieces, as they are written', async () => {
    const waiting = passphrase(signal);
    // opening it for writing waits for a reader
    const writer = await open(fifo, 'w');
    await writer.write('correct ');
    await writer.write('horse\nanother line\n');
    await writer.close();
    expect(await waiting).toBe('correct horse');
  });

  test('can come from a shell’s process substitution', () => {
    const source = `import { createPassphraseSource } from '${join(programFile, '../../dist/operations/store-access/passphrase-source.js')}';
      const request = { file: process.argv[1], command: null, keyFile: null, options: '' };
      console.log(await createPassphraseSource(request, null, new AbortController().signal)('open'));`;
    const line = `"$0" --input-type=module -e "$1" <(sleep 0.2; echo correct horse)`;
    const { stdout, stderr } = spawnSync('bash', ['-c', line, process.execPath, source], {
      encoding: 'utf8',
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    expect([stdout, stderr]).toEqual(['correct horse\n', '']);
  });
});
