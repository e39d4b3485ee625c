import { mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, test } from '@jest/globals';
import { directCopy, type DirectCopy } from '../../support/direct-copy.ts';
import { failureOf } from '../../support/failures.ts';
import { fakeDefinition } from '../../support/guests/fake-driver.ts';
import { smallKernel } from '../../support/guests/own-kernel.ts';
import { runTool, scratchDirectory } from '../../support/images/images.ts';
import { FramePool } from '../../../src/workers/frame-pool.ts';
import { frameWorkerUrl } from '../../support/assembly.ts';
import { describeWithTools } from '../../support/programs/tools.ts';

const VERSION = '6.1.0-9';

const pool = new FramePool(frameWorkerUrl, 1);
afterAll(async () => {
  await pool[Symbol.asyncDispose]();
});

/** A guest whose kernel is taken out of its verified copy. */
describeWithTools('the files that boot a guest', ['mke2fs', 'debugfs'], () => {
  let scratch: ReturnType<typeof scratchDirectory>;
  let image: string;
  let there: string;
  let copy: DirectCopy;
  beforeEach(async () => {
    scratch = scratchDirectory();
    image = join(scratch.path, 'web.img');
    there = join(scratch.path, 'there');
    const tree = join(scratch.path, 'tree/boot');
    mkdirSync(tree, { recursive: true });
    mkdirSync(there);
    writeFileSync(join(tree, 'vmlinuz'), smallKernel(VERSION));
    writeFileSync(join(tree, 'initrd.img'), 'initrd');
    writeFileSync(image, '');
    truncateSync(image, 8 * 2 ** 20);
    runTool('mke2fs', ['-qF', '-t', 'ext4', '-d', join(scratch.path, 'tree'), image]);
    copy = await directCopy(image, there, pool);
    await copy.lastPass();
    await copy.finish();
    await copy.publish();
  });
  afterEach(async () => {
    await copy[Symbol.asyncDispose]();
    scratch[Symbol.dispose]();
  });

  const adapt = (kernel: string, path = join(there, 'copy'), to = copy) =>
    to.adapt({
      guest: fakeDefinition('web', [path], { driver: 'qemu', kernel: '/etc/passwd' }),
      root: null,
      edits: [],
      bootArchive: Buffer.from('more').toString('base64'),
      bootFiles: { path, offset: 0, kernel, initrds: ['/boot/initrd.img'] },
    });
  const made = (): string[] =>
    readdirSync(there, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !['copy', 'later'].includes(entry.name))
      .map(({ name }) => name);

  test('are taken out of its copy, with what is done at boot at their end, and removed when the move is undone', async () => {
    const { driver, kernel, initrd } = await adapt('/boot/vmlinuz');
    expect(driver).toBe('qemu');
    // The mover names no file of this machine.
    expect(kernel).toMatch(new RegExp(`^${there}/kernel/web-[0-9a-f]{12}$`));
    expect(initrd).toMatch(new RegExp(`^${there}/initrd/web-[0-9a-f]{12}$`));
    expect(readFileSync(kernel ?? '').equals(smallKernel(VERSION))).toBe(true);
    expect(readFileSync(initrd ?? '', 'latin1')).toBe('initrd\0\0more');
    expect(made()).toHaveLength(2);
    await copy[Symbol.asyncDispose]();
    expect(readdirSync(there).toSorted()).toEqual(['initrd', 'kernel']);
    expect(made()).toEqual([]);
  });

  test.each([
    ['that was undone', '/boot/vmlinuz'],
    ['that failed', '/boot/vmlinuz-older'],
  ])('are left alone by a later move of the same guest %s', async (_, kernelOfLater) => {
    const earlier = await adapt('/boot/vmlinuz');
    const files = made();
    const later = await directCopy(image, there, pool, false, 'raw', { name: 'later' });
    await later.lastPass();
    await later.finish();
    await later.publish();
    await adapt(kernelOfLater, join(there, 'later'), later).catch(() => undefined);
    await later[Symbol.asyncDispose]();
    expect(made()).toEqual(files);
    expect(readFileSync(earlier.kernel ?? '').equals(smallKernel(VERSION))).toBe(true);
    expect(readFileSync(earlier.initrd ?? '', 'latin1')).toBe('initrd\0\0more');
  });

  test('are not there any more after the halt: nothing is left of them', async () => {
    expect(await failureOf(() => adapt('/boot/vmlinuz-older'))).toMatchObject({
      code: 'read-failed',
      message: expect.stringContaining('/boot/vmlinuz-older is not there'),
      advice: expect.stringContaining('give the same command again'),
    });
    expect(made()).toEqual([]);
  });

  test('are taken out of no image that was not received', async () => {
    expect(await failureOf(() => adapt('/boot/vmlinuz', image))).toMatchObject({
      code: 'protocol-violation',
    });
    expect(made()).toEqual([]);
  });
});
