import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import type { Context } from '../../../src/events.ts';
import { totalLength } from '../../../src/extent/extents.ts';
import { inspectImage } from '../../../src/operations/guests/inspect.ts';
import {
  extSizeBytes,
  extVariant,
  freeExtentsByDumpe2fs,
  imageTools,
  makeExtImage,
  makeSparseFile,
  runTool,
  scratchDirectory,
} from '../../support/images/images.ts';
import { describeWithTools } from '../../support/programs/tools.ts';

const MIB = 2 ** 20;
const context: Context = { signal: new AbortController().signal, report: () => {} };

describeWithTools('inspecting an image', imageTools, () => {
  test('accounts for every byte', async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'image');
    makeExtImage(path, extVariant('ext3, 1 KiB'));
    const report = await inspectImage(path, context);
    expect(report).toMatchObject({ path, sizeBytes: 64 * MIB, users: [] });
    expect(report.holeBytes + report.freeBytes + report.sendBytes).toBe(report.sizeBytes);
    expect(report.holeBytes + report.freeBytes).toBeGreaterThanOrEqual(
      totalLength(freeExtentsByDumpe2fs(path)),
    );
    expect(report.regions).toMatchObject([{ kind: 'ext3', clean: true, skippable: true }]);
  });

  test('takes seconds and little memory for a sparse image of 2 TiB', async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'image');
    makeSparseFile(path, 2 ** 41);
    runTool('mke2fs', ['-q', '-F', '-t', 'ext4', '-E', 'lazy_itable_init=1,lazy_journal_init=1', path]);
    const before = process.memoryUsage().rss;
    const start = performance.now();
    const report = await inspectImage(path, context);
    expect(performance.now() - start).toBeLessThan(10_000);
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * MIB);
    const used = extSizeBytes(path) - totalLength(freeExtentsByDumpe2fs(path));
    expect(report.regions).toMatchObject([{ kind: 'ext4', usedBytes: used, skippable: true }]);
    expect(report.sendBytes).toBeLessThan(100 * MIB);
    expect(report.holeBytes + report.freeBytes + report.sendBytes).toBe(2 ** 41);
  });

  test('stops when aborted', async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'image');
    makeSparseFile(path, MIB);
    await expect(inspectImage(path, { ...context, signal: AbortSignal.abort() })).rejects.toThrow();
  });
});
