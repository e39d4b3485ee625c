import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { BackupWorld } from '../../support/stores/backup-world.ts';
import { failureOf } from '../../support/failures.ts';
import { imageTools, seededBytes } from '../../support/images/images.ts';
import { describeWithTools } from '../../support/programs/tools.ts';

const IMAGE_BYTES = 256 * 1024;

let world: BackupWorld;

beforeEach(() => {
  world = new BackupWorld();
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

/**
 * Records a guest that does not run, with images at these paths below the scratch directory. Returns their contents.
 */
async function rememberGuest(paths: readonly string[], mode = 0o600): Promise<Buffer[]> {
  const disks = paths.map((path, index) => {
    const image = join(world.path, path);
    mkdirSync(join(image, '..'), { recursive: true });
    writeFileSync(image, seededBytes(index + 1, IMAGE_BYTES));
    chmodSync(image, mode);
    return { device: `ubd${index}`, path: image, readOnly: false };
  });
  const definition = {
    name: 'web',
    driver: 'uml' as const,
    memoryBytes: 64 * 2 ** 20,
    cpuCount: null,
    kernel: null,
    initrd: null,
    disks,
    commandLine: [],
  };
  await world.dependencies.records.write({ definition, state: 'halted' });
  return disks.map(({ path }) => readFileSync(path));
}

describeWithTools('a backup of a guest', imageTools, () => {
  test('gives images of the same name in several directories different names', async () => {
    const contents = await rememberGuest(['one/root.img', 'two/root.img', 'three/root.img']);
    const { guests } = await world.backup('web');
    const folder = (await world.session()).folder('web');
    const { disks } = await folder.readSnapshot(guests[0]?.snapshot ?? '', world.context().signal);
    expect(disks.map(({ name }) => name)).toEqual(['root.img', 'root.img-2', 'root.img-3']);
    const restored = world.restoreByScript('web', guests[0]?.snapshot ?? '');
    for (const [index, { name }] of disks.entries())
      expect(readFileSync(join(restored, name)).equals(contents[index] ?? Buffer.alloc(0))).toBe(true);
  });

  test('can be read for any names and modes of its images', async () => {
    await rememberGuest(['.hidden.img', 'a\nb.img'], 0o6750);
    const { guests } = await world.backup('web');
    const folder = (await world.session()).folder('web');
    const { disks } = await folder.readSnapshot(guests[0]?.snapshot ?? '', world.context().signal);
    expect(disks.map(({ name, mode }) => [name, mode])).toEqual([
      ['hidden.img', 0o750],
      ['a_b.img', 0o750],
    ]);
  });

  test('fails, and leaves no manifest, if the manifest could not be read again', async () => {
    await rememberGuest(['root.img']);
    world.dependencies.version = 'x'.repeat(65);
    const failure = await failureOf(() => world.backup('web'));
    expect(failure.code).toBe('internal');
    expect(failure.message).toContain('vmferryVersion');
    const folder = (await world.session()).folder('web');
    expect(await folder.snapshotIds(world.context().signal)).toEqual([]);
  });
});
