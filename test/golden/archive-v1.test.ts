import { mkdirSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from '@jest/globals';
import { parseManifest } from '../../src/archive/manifest.ts';
import { parseGuestDefinition } from '../../src/guest/definition.ts';
import { ExchangeWorld } from '../support/archives/exchange-world.ts';
import { runTool } from '../support/images/images.ts';
import { fileSha256 } from '../support/images/sparse-images.ts';
import { describeWithTools } from '../support/programs/tools.ts';

const fixture = fileURLToPath(new URL('../../fixtures/archive-v1/', import.meta.url));
const archive = join(fixture, 'web.tar.zst');
const expected = JSON.parse(readFileSync(join(fixture, 'expected.json'), 'utf8')) as {
  guest: string;
  disks: { name: string; sizeBytes: number; sha256: string }[];
};
const world = new ExchangeWorld();
afterAll(() => world[Symbol.asyncDispose]());

test('an archive that version 1 wrote is imported', async () => {
  const directory = join(world.path, 'imported');
  mkdirSync(directory);
  const report = await world.import({ from: archive, to: directory });
  expect(report).toMatchObject({ guest: expected.guest, checked: 'sha256sums', disks: expected.disks });
  expect(readdirSync(directory).sort()).toEqual(expected.disks.map(({ name }) => name).sort());
  for (const { name, sizeBytes, sha256 } of expected.disks) {
    expect(statSync(join(directory, name)).size).toBe(sizeBytes);
    expect(await fileSha256(join(directory, name))).toBe(sha256);
  }
});

describeWithTools('an archive that version 1 wrote', ['tar', 'zstd', 'sha256sum'], () => {
  test('is unpacked by GNU tar, matches its checksums, and says what the guest was', () => {
    const directory = join(world.path, 'unpacked');
    mkdirSync(directory);
    runTool('tar', ['-xf', archive, '-C', directory]);
    runTool('sh', ['-c', `cd ${directory} && sha256sum -c SHA256SUMS`]);
    const manifest = parseManifest(readFileSync(join(directory, 'manifest.json'), 'utf8'));
    expect(parseGuestDefinition(manifest.definition)).toMatchObject({ name: expected.guest, driver: 'uml' });
  });
});
