import {
  existsSync,
  mkdirSync,
  openSync,
  closeSync,
  readdirSync,
  rmSync,
  writeSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { exportSnapshot } from '../../../src/operations/exchange/export-snapshot.ts';
import type { ExportFile, ExportReport } from '../../../src/operations/exchange/export-report.ts';
import { parseSnapshotReference } from '../../../src/operations/store-access/choose-snapshot.ts';
import { failureOf } from '../../support/failures.ts';
import { runTool, seededBytes } from '../../support/images/images.ts';
import { fileSha256, writeSparseImage } from '../../support/images/sparse-images.ts';

import { describeUnless, findTool } from '../../support/programs/tools.ts';
import { BackupWorld } from '../../support/stores/backup-world.ts';
import { flipByte, storedFiles } from '../../support/stores/restoring.ts';

const MIB = 2 ** 20;
const missing = ['tar', 'zstd', 'sha256sum'].find((tool) => findTool(tool) === null) ?? null;

describeUnless(missing === null ? null : `${missing} is not installed`, 'the export of a snapshot', () => {
  let world: BackupWorld;
  let image: string;
  let output: string;

  afterEach(() => world[Symbol.asyncDispose]());

  async function openWorld(encrypt: boolean): Promise<void> {
    world = new BackupWorld({ encrypt });
    image = join(world.path, 'web.img');
    output = join(world.path, 'out', 'web.tar.zst');
    mkdirSync(join(world.path, 'out'));
    writeSparseImage(image, {
      sectors: 60 * 2048 + 3,
      pieces: [
        { sector: 0, sectors: 20, kind: 'noise' },
        // Over the end of a window of 16 MiB.
        { sector: 30_000, sectors: 9000, kind: 'text' },
        { sector: 100_001, sectors: 3000, kind: 'noise' },
        { sector: 60 * 2048, sectors: 3, kind: 'ones' },
      ],
    });
    await world.backup(image);
  }

  async function exported(
    reference: string,
    file: Partial<Omit<ExportFile, 'output'>> & { output?: string } = {},
  ): Promise<ExportReport> {
    const dependencies = {
      ...world.dependencies,
      bunzip: () => {
        throw new Error('nothing is unpacked');
      },
      environment: process.env,
      connect: () => Promise.reject(new Error('there is no other machine')),
    };
    const path = file.output ?? output;
    const defaults = { content: 'archive', format: 'zstd', compression: 3 } as const;
    const whole = { ...defaults, ...file, output: { path, host: null } };
    const session = await world.session();
    return exportSnapshot(
      parseSnapshotReference(reference),
      whole,
      new PassThrough(),
      session,
      dependencies,
      world.context(),
    );
  }

  /** Rewrites pieces here and there, so that the next backup takes chunks from many packs. */
  function changeImage(): void {
    const fd = openSync(image, 'r+');
    for (let at = 15 * MIB; at < 20 * MIB; at += 300_000) writeSync(fd, seededBytes(at, 1000), 0, 1000, at);
    closeSync(fd);
  }

  test.each([false, true])(
    'is what was backed up, and GNU tar unpacks it; encrypted: %s',
    async (encrypt) => {
      await openWorld(encrypt);
      const first = await fileSha256(image);
      const { snapshot } = await exported('web.img');
      changeImage();
      await world.backup(image);
      const again = join(world.path, 'out', 'again.img.zst');
      const report = await exported('web.img', { output: again, content: 'image' });
      expect(report).toMatchObject({ type: 'exported', guest: 'web.img', consistency: 'halted' });
      expect(report.snapshot).not.toBe(snapshot);
      expect(report.disks[0]?.sha256).toBe(await fileSha256(image));
      runTool('zstd', ['-dq', again]);
      expect(await fileSha256(again.replace('.zst', ''))).toBe(report.disks[0]?.sha256);

      const directory = join(world.path, 'unpacked');
      mkdirSync(directory);
      runTool('tar', ['-xf', output, '-C', directory]);
      runTool('sh', ['-c', `cd ${directory} && sha256sum -c SHA256SUMS`]);
      expect(await fileSha256(join(directory, 'web.img'))).toBe(first);
      // An earlier snapshot is still what it was.
      rmSync(output);
      expect((await exported(`web.img@${snapshot}`)).disks[0]?.sha256).toBe(first);
    },
  );

  describe('of a damaged store', () => {
    beforeEach(() => openWorld(false));

    test('leaves no file if a pack is lost', async () => {
      const [pack = ''] = storedFiles(world, 'web.img', 'packs');
      rmSync(pack);
      expect(await failureOf(() => exported('web.img'))).toMatchObject({
        code: 'store-damaged',
        message: expect.stringContaining('bytes of web.img'),
      });
      expect(readdirSync(join(world.path, 'out'))).toEqual([]);
    });

    test('leaves no file if a chunk is damaged', async () => {
      // A single byte may belong to no chunk of this snapshot.
      for (const pack of storedFiles(world, 'web.img', 'packs'))
        for (const share of [0.25, 0.5, 0.75]) flipByte(pack, Math.floor(share * statSync(pack).size));
      expect(await failureOf(() => exported('web.img'))).toMatchObject({ code: 'store-damaged' });
      expect(existsSync(output)).toBe(false);
      expect(readdirSync(join(world.path, 'out'))).toEqual([]);
    });
  });
});
