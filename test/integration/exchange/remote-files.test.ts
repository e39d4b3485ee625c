import { createReadStream, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { FilePlace } from '../../../src/operations/unpack/file-place.ts';
import { ExchangeWorld } from '../../support/archives/exchange-world.ts';
import { codeOf } from '../../support/failures.ts';
import { fileSha256, writeSparseImage } from '../../support/images/sparse-images.ts';
import { startVmferry, vmferry } from '../../support/programs/command-line.ts';
import { errorOf, resultOf } from '../../support/programs/command-records.ts';
import { describeWithTools } from '../../support/programs/tools.ts';
import { startSshServer, type TestSshServer } from '../../support/ssh/ssh-server.ts';

describeWithTools('a file on another machine', ['sshd', 'ssh-keygen'], () => {
  let server: TestSshServer;
  let world: ExchangeWorld;
  let image: string;
  /** A directory there. */
  let there: string;

  beforeAll(async () => {
    server = await startSshServer();
  });
  afterAll(() => server.stop());

  beforeEach(() => {
    world = new ExchangeWorld();
    image = join(world.path, 'web.img');
    there = join(world.path, 'there');
    mkdirSync(there);
    writeSparseImage(image, {
      sectors: 24 * 2048,
      pieces: [
        { sector: 0, sectors: 20, kind: 'noise' },
        { sector: 5000, sectors: 20_000, kind: 'noise' },
      ],
    });
  });
  afterEach(() => world[Symbol.asyncDispose]());

  function place(name: string): FilePlace {
    const { destination, sshConfigFile } = server;
    return { path: join(there, name), host: { destination, port: null, sshConfigFile } };
  }

  test('is written by an export, and read by an import', async () => {
    const file = place('web.tar.zst');
    const exported = await world.export(image, { output: file });
    expect(exported.output).toBe(`${server.destination}:${file.path}`);
    expect(exported.sizeBytes).toBe(statSync(file.path).size);
    expect(statSync(file.path).mode & 0o777).toBe(0o600);
    expect(readdirSync(there)).toEqual(['web.tar.zst']);
    const to = join(world.path, 'back.img');
    const imported = await world.import({ from: file, to });
    expect(imported).toMatchObject({ from: exported.output, checked: 'fingerprints' });
    expect(await fileSha256(to)).toBe(await fileSha256(image));
    // A bare image is named after the file there.
    await world.export(image, { output: place('old.img.bz2'), format: 'bzip2', content: 'image' });
    await world.import({ from: place('old.img.bz2'), to: world.path });
    expect(await fileSha256(join(world.path, 'old.img'))).toBe(await fileSha256(image));
  });

  test('has its name only when it is whole', async () => {
    world.onEvent = ({ type }) => {
      if (type === 'progress') world.abort(new Error('interrupted'));
    };
    await expect(world.export(image, { output: place('web.tar') })).rejects.toThrow('interrupted');
    expect(readdirSync(there)).toEqual([]);
  });

  test('is backed up, and so is standard input, by way of a scratch directory', async () => {
    const store = join(world.path, 'store');
    const scratch = join(world.path, 'scratch');
    mkdirSync(store);
    mkdirSync(scratch);
    const environment = { VMFERRY_STATE_DIR: join(world.path, 'state') };
    await vmferry(['init', store, '--no-encrypt'], environment);
    await world.export(image, { output: place('old.img.gz'), format: 'gzip', content: 'image' });
    const remote = `${server.destination}:${join(there, 'old.img.gz')}`;
    const args = (source: string) => ['backup', source, '--to', store, '-F', server.sshConfigFile, '--json'];
    expect(errorOf(await vmferry(args(remote), environment))).toMatchObject({
      code: 'usage',
      advice: expect.stringContaining('--scratch DIRECTORY'),
    });
    const inScratch = [...args(remote), '--scratch', scratch];
    const first = resultOf<{ guests: unknown[] }>(await vmferry(inScratch, environment));
    expect(first.guests).toMatchObject([{ guest: 'old.img', disks: [{ name: 'old.img' }] }]);
    // A later file is another state of the same image.
    const again = resultOf<{ guests: unknown[] }>(await vmferry(inScratch, environment));
    expect(again.guests).toMatchObject([{ newPlainBytes: 0 }]);
    const { child, ended } = startVmferry([...args('-'), '--scratch', scratch], environment);
    createReadStream(join(there, 'old.img.gz')).pipe(child.stdin);
    expect(resultOf<{ guests: unknown[] }>(await ended).guests).toMatchObject([{ guest: 'disk.img' }]);
    const back = join(world.path, 'back');
    mkdirSync(back);
    for (const name of ['old.img', 'disk.img']) {
      resultOf(await vmferry(['restore', store, name, '--to', `${back}/`, '--json'], environment));
      expect(await fileSha256(join(back, name))).toBe(await fileSha256(image));
    }
    expect(readdirSync(scratch)).toEqual([]);
  });

  test('is never replaced, and a missing one or a missing directory is said', async () => {
    writeFileSync(join(there, 'web.tar.zst'), 'precious');
    expect(await codeOf(() => world.export(image, { output: place('web.tar.zst') }))).toBe('target-exists');
    expect(readFileSync(join(there, 'web.tar.zst'), 'utf8')).toBe('precious');
    expect(await codeOf(() => world.export(image, { output: place('no/web.tar') }))).toBe('target-missing');
    const to = join(world.path, 'back.img');
    expect(await codeOf(() => world.import({ from: place('missing'), to }))).toBe('image-missing');
    expect(await codeOf(() => world.import({ from: place('.'), to }))).toBe('image-unreadable');
  });
});
