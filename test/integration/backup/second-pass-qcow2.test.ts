import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { BackedUpDisk } from '../../../src/operations/backup/backup-report.ts';
import { convert, viewsMissing, viewsOf } from '../../support/images/containers.ts';
import { runTool, seededBytes } from '../../support/images/images.ts';
import { mountingMissing, mountNew } from '../../support/images/reflink-file-system.ts';
import { BackupWorld } from '../../support/stores/backup-world.ts';
import { describeUnless, toolsMissing } from '../../support/programs/tools.ts';
import { seededRandom, testSeed } from '../../support/seeded-random.ts';

const MIB = 2 ** 20;
const CHUNK = 65_536;
/** Unchanged chunks that are read as a sample. */
const SAMPLE_BYTES = 64 * CHUNK;

for (const kind of ['xfs', 'btrfs'] as const)
  describeUnless(
    mountingMissing(kind) ?? viewsMissing() ?? toolsMissing('zstd', 'tar'),
    `a second backup of a qcow2 image on ${kind}`,
    () => {
      let world: BackupWorld;
      let mounted: ReturnType<typeof mountNew>;
      let image: string;
      beforeEach(() => {
        world = new BackupWorld();
        mounted = mountNew(kind);
        image = join(mounted.path, 'disk.qcow2');
        const raw = join(mounted.path, 'raw');
        writeFileSync(raw, seededBytes(1, 24 * MIB));
        convert(raw, image, 'qcow2', []);
      });
      afterEach(async () => {
        await world[Symbol.asyncDispose]();
        mounted[Symbol.dispose]();
      });

      const inGuest = (...commands: string[]) =>
        runTool('qemu-io', ['-f', 'qcow2', ...commands.flatMap((command) => ['-c', command]), image]);

      /** Makes a backup, and compares what is restored with the whole image. */
      async function soundBackup(): Promise<BackedUpDisk & { newPlainBytes: number }> {
        const { guests } = await world.backup(image);
        const [guest] = guests;
        const disk = guest?.disks[0];
        if (guest === undefined || disk === undefined) throw new Error('there is no snapshot');
        const restored = join(world.restoreByScript('disk.qcow2', guest.snapshot), 'disk.img');
        const expected = join(mounted.path, 'expected');
        runTool('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', image, expected]);
        expect(readFileSync(restored).equals(readFileSync(expected))).toBe(true);
        return { ...disk, newPlainBytes: guest.newPlainBytes };
      }

      test('reads only what has changed, and a sample of the rest', async () => {
        expect(await soundBackup()).toMatchObject({ readBytes: 24 * MIB, unchangedBytes: 0 });
        expect(await soundBackup()).toMatchObject({ readBytes: SAMPLE_BYTES, newPlainBytes: 0 });
        inGuest('write -P 7 5M 100', 'write -P 8 5308416 512');
        expect(await soundBackup()).toMatchObject({
          readBytes: SAMPLE_BYTES + 2 * CHUNK,
          newPlainBytes: 2 * CHUNK,
        });
        const beside = readdirSync(mounted.path).filter((name) => name.includes('vmferry'));
        expect(beside).toEqual([expect.stringMatching(/^\.disk\.qcow2\.vmferry-.*\.base$/)]);
        expect(viewsOf(process.pid)).toEqual([]);
      });

      test('holds what the image holds after any changes', async () => {
        const seed = testSeed();
        const random = seededRandom(seed);
        try {
          for (let round = 0; round < 4; round++) {
            inGuest(
              ...Array.from({ length: 12 }, () => {
                const from = Math.floor(random() * 24 * 2048) * 512;
                const length = Math.min(24 * MIB - from, 512 * (1 + Math.floor(random() * 600)));
                if (random() < 0.3) return `discard ${from} ${length}`;
                if (random() < 0.3) return `write -z ${from} ${length}`;
                return `write -P ${1 + Math.floor(random() * 250)} ${from} ${length}`;
              }),
            );
            if (round === 2) runTool('qemu-img', ['snapshot', '-c', 'between', image]);
            await soundBackup();
          }
        } catch (error) {
          throw new Error(`VMFERRY_TEST_SEED=${seed}`, { cause: error });
        }
      });
    },
  );
