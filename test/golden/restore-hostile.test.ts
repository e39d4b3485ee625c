import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeEach, expect, test } from '@jest/globals';
import { buildPack } from '../../src/pack/pack.ts';
import { noSeal } from '../../src/seal/seal-for.ts';
import { bestZstd } from '../../src/codec/zstd.ts';
import { scratchDirectory } from '../support/images/images.ts';
import { describeWithTools } from '../support/programs/tools.ts';

const fixtures = join(import.meta.dirname, '..', '..', 'fixtures');
const stores = join(fixtures, 'v1', 'stores');
const { passphrase } = JSON.parse(readFileSync(join(stores, 'expected.json'), 'utf8')) as {
  passphrase: string;
};
const scratch = scratchDirectory();
const guest = 'disk.img';
const snapshot = '20261122T145119Z-dbe2819e';
let store: string;
let folder: string;
let out: string;
let secret: string;

beforeEach(() => {
  const directory = mkdtempSync(join(scratch.path, 'case-'));
  store = join(directory, 'store');
  cpSync(join(stores, 'plain'), store, { recursive: true });
  folder = join(store, 'guests', guest);
  out = join(directory, 'deep', 'out');
  mkdirSync(out, { recursive: true });
  secret = join(directory, 'secret');
  writeFileSync(secret, `${passphrase}\n`);
});
afterAll(() => {
  scratch[Symbol.dispose]();
});

const restorers = {
  shell: () =>
    spawnSync('sh', [join(fixtures, 'restore-snapshot.sh'), store, guest, snapshot, out], {
      encoding: 'utf8',
    }),
  python: () =>
    spawnSync('python3', [join(fixtures, 'restore-encrypted.py'), store, guest, snapshot, secret, out], {
      encoding: 'utf8',
    }),
};
const manifest = () => join(folder, 'snapshots', `${snapshot}.json`);

function changeManifest(change: (text: string) => string): void {
  writeFileSync(manifest(), change(readFileSync(manifest(), 'utf8')));
}

/** Changes a manifest and its digest, like somebody who can write to the store. */
function forgeManifest(change: (text: string) => string): void {
  changeManifest((text) => {
    const changed = change(text).replace(/,\n "digest": "sha256:[0-9a-f]{64}"\n\}\n$/, '\n}\n');
    const digest = createHash('sha256').update(changed).digest('hex');
    return changed.replace(/\n\}\n$/, `,\n "digest": "sha256:${digest}"\n}\n`);
  });
}

/** Replaces all packs by one with the right name, whose chunks do not match their ids. */
async function forgePacks(): Promise<void> {
  const lines = readdirSync(join(folder, 'maps')).flatMap((page) => {
    const { stdout } = spawnSync('zstd', ['-dcq', join(folder, 'maps', page)], { encoding: 'utf8' });
    return stdout
      .trim()
      .split('\n')
      .map((line) => line.split(' '));
  });
  const frames = lines.map(([position = '', id = '']) => ({
    chunks: [{ position: Number(position), id: Buffer.from(id, 'hex'), length: 65536 }],
    compressed: bestZstd().compress(Buffer.alloc(65536, 'forged'), 3),
  }));
  for (const pack of readdirSync(join(folder, 'packs'))) rmSync(join(folder, 'packs', pack));
  const pack = await buildPack(frames, noSeal);
  writeFileSync(join(folder, 'packs', `${pack.id}.tar`), pack.bytes);
}

describeWithTools('restoring a hostile store', ['python3', 'zstd', 'tar'], () => {
  const tools = ['shell', 'python'] as const;

  test.each(tools)('with the %s program: a disk’s name cannot lead to another directory', (tool) => {
    for (const name of ['../../x', '/tmp/vmferry-x', '.x', 'a/b', '..']) {
      cpSync(join(stores, 'plain'), store, { recursive: true });
      forgeManifest((text) => text.replace('   "name": "disk.img"', `   "name": "${name}"`));
      const { status, stderr } = restorers[tool]();
      expect([status, stderr]).toEqual([1, expect.stringContaining('is not a name for a disk')]);
    }
    expect(existsSync(join(out, '..', '..', 'x'))).toBe(false);
    expect(readdirSync(out)).toEqual([]);
  });

  test.each(tools)('with the %s program: a changed manifest counts as damaged', (tool) => {
    changeManifest((text) => text.replace('   "name": "disk.img"', '   "name": "disk.imh"'));
    const { status, stderr } = restorers[tool]();
    expect([status, stderr]).toEqual([1, expect.stringContaining('it does not match its digest')]);
    expect(readdirSync(out)).toEqual([]);
  });

  test.each(tools)('with the %s program: a chunk that does not match its id is detected', async (tool) => {
    await forgePacks();
    const { status, stderr } = restorers[tool]();
    expect([status, stderr]).toEqual([1, expect.stringContaining('a chunk does not match its SHA-256')]);
    expect(readdirSync(out).filter((name) => !name.endsWith('.partial'))).toEqual([]);
  });

  test.each(tools)('with the %s program: a page that would unpack to a gigabyte is refused', (tool) => {
    const zeros = spawnSync('sh', ['-c', 'head -c 1000000000 /dev/zero | zstd -q -c'], {
      maxBuffer: 2 ** 24,
    });
    for (const page of readdirSync(join(folder, 'maps')))
      writeFileSync(join(folder, 'maps', page), zeros.stdout);
    const { status, stderr } = restorers[tool]();
    expect(status).toBe(1);
    expect(stderr).toMatch(tool === 'shell' ? /chunk map of disk.img is damaged/ : /larger than it may be/);
  });

  test.each(tools)(
    'with the %s program: an existing file with the name of the partial image is left alone',
    (tool) => {
      const victim = join(out, '..', 'victim');
      symlinkSync(victim, join(out, 'disk.img.partial'));
      expect(restorers[tool]().status).toBe(1);
      expect(existsSync(victim)).toBe(false);
      expect(readdirSync(out)).toEqual(['disk.img.partial']);
    },
  );

  test('no program gets a key as an argument, and scrypt costs that vmferry does not set are refused', () => {
    rmSync(store, { recursive: true });
    cpSync(join(stores, 'encrypted'), store, { recursive: true });
    const bin = join(out, '..', 'bin');
    mkdirSync(bin);
    const log = join(bin, 'log');
    for (const program of ['zstd', 'openssl', 'sh']) {
      const real = spawnSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).stdout.trim();
      writeFileSync(
        join(bin, program),
        `#!/bin/sh\necho "${program} $*" >>'${log}'\nexec ${real || 'false'} "$@"\n`,
      );
      chmodSync(join(bin, program), 0o755);
    }
    const restore = () =>
      spawnSync(
        'python3',
        [join(fixtures, 'restore-encrypted.py'), store, guest, '20261122T145135Z-c32b1eca', secret, out],
        {
          encoding: 'utf8',
          env: { ...process.env, PATH: `${bin}:${process.env['PATH'] ?? ''}` },
        },
      );
    expect(restore().status).toBe(0);
    expect(readFileSync(log, 'utf8')).toContain('zstd -dcq');
    expect(readFileSync(log, 'utf8')).not.toMatch(/openssl|[0-9a-f]{32}/);
    rmSync(join(out, 'disk.img'));
    for (const name of readdirSync(join(store, 'keys'))) {
      const file = join(store, 'keys', name);
      writeFileSync(file, readFileSync(file, 'utf8').replace(/"N": \d+/, `"N": ${2 ** 30}`));
    }
    const { status, stderr } = restore();
    expect([status, stderr]).toEqual([1, expect.stringContaining('costs that vmferry never sets')]);
  });
});
