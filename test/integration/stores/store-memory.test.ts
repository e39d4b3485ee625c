import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { BackupReport } from '../../../src/operations/backup/backup-report.ts';
import type { PruneReport } from '../../../src/operations/prune/prune-report.ts';
import type { RestoreReport } from '../../../src/operations/restore/restore-report.ts';
import type { VerifyReport } from '../../../src/operations/verify/verify-report.ts';
import type { StoreListing } from '../../../src/operations/stores/list-store.ts';
import { peakModule, vmferry } from '../../support/programs/command-line.ts';
import { scratchDirectory } from '../../support/images/images.ts';
import { makeLargeStore, writeLargeImage, type LargeStore } from '../../support/stores/large-store.ts';
import { mountingMissing, mountNew } from '../../support/images/reflink-file-system.ts';
import { describeUnless } from '../../support/programs/tools.ts';

/*
 * No command uses 300 MB of memory, however much data a store has of a guest. The full size takes some ten minutes and 2 GB of
 * disk. To test it:
 *
 *   npm run build && VMFERRY_LARGE=1 npm test -- store-memory
 */

const isLarge = process.env['VMFERRY_LARGE'] === '1';
const MOST_BYTES = 300e6;
const MINUTE_MS = 60_000;
const TIB = 2 ** 40;

const shape: LargeStore = {
  guest: 'disk.img',
  imageBytes: TIB,
  ...(isLarge
    ? { snapshots: 200, chunks: 100_000, changedChunks: 300, changedPages: 200 }
    : { snapshots: 20, chunks: 5_000, changedChunks: 100, changedPages: 60 }),
};
const kept = shape.snapshots / 2;

describeUnless(
  mountingMissing('xfs'),
  `with ${shape.snapshots} snapshots of 1 TiB, of which ${shape.chunks} chunks exist`,
  () => {
    let scratch: ReturnType<typeof scratchDirectory>;
    let room: ReturnType<typeof mountNew>;
    let store: string;
    let image: string;

    beforeAll(async () => {
      scratch = scratchDirectory();
      store = join(scratch.path, 'store');
      image = join(scratch.path, shape.guest);
      await makeLargeStore(store, shape);
      writeLargeImage(image, shape, shape.snapshots);
      // A restore requires space for all chunks at full size.
      room = mountNew('xfs', TIB / 4);
    }, 20 * MINUTE_MS);

    afterAll(() => {
      room[Symbol.dispose]();
      scratch[Symbol.dispose]();
    });

    /** Runs it to its end, and returns its result. */
    async function run<Report>(...args: string[]): Promise<Report> {
      const peakFile = join(scratch.path, 'peak');
      const { exitStatus, stdout, stderr } = await vmferry([...args, '--json'], {
        NODE_OPTIONS: `--import=${peakModule}`,
        VMFERRY_TEST_PEAK_FILE: peakFile,
        VMFERRY_STATE_DIR: join(scratch.path, 'state'),
      });
      expect(`${exitStatus} ${stderr}`).toBe('0 ');
      const peakBytes = Number(readFileSync(peakFile, 'utf8'));
      if (isLarge) process.stderr.write(`${args[0]}: ${Math.round(peakBytes / 1e6)} MB\n`);
      expect(peakBytes).toBeLessThan(MOST_BYTES);
      return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Report;
    }

    const limitMs = (isLarge ? 15 : 2) * MINUTE_MS;

    test(
      'list takes less than 300 MB',
      async () => {
        const { guests } = await run<StoreListing>('list', store);
        expect(guests[0]?.snapshots).toHaveLength(shape.snapshots);
      },
      limitMs,
    );

    test.each([
      { what: 'the structure', options: [] },
      { what: 'all data', options: ['--read-data'] },
    ])(
      'verify of $what takes less than 300 MB',
      async ({ options }) => {
        const { isDamaged, guests } = await run<VerifyReport>('verify', store, ...options);
        expect(isDamaged).toBe(false);
        expect(guests[0]?.snapshots).toBe(shape.snapshots);
        expect(guests[0]?.read.count === guests[0]?.packs.count).toBe(options.length > 0);
      },
      limitMs,
    );

    let fingerprint: string | undefined;

    test(
      'backup takes less than 300 MB',
      async () => {
        const { guests } = await run<BackupReport>('backup', image, '--adopt', '--to', store);
        // What the image has in addition to the last snapshot, in chunks of 1 MiB.
        expect(guests[0]?.newPlainBytes).toBe(shape.changedChunks * 2 ** 20);
        fingerprint = guests[0]?.disks[0]?.fingerprint;
      },
      limitMs,
    );

    test(
      'restore takes less than 300 MB',
      async () => {
        const to = join(room.path, 'restored.img');
        const { disks } = await run<RestoreReport>('restore', store, shape.guest, '--to', to);
        expect(disks[0]?.fingerprint).toBe(fingerprint);
      },
      limitMs,
    );

    test(
      'prune takes less than 300 MB: dry, real, with the trash emptied, with packs rewritten',
      async () => {
        const dryRun = ['prune', store, '--keep-last', String(kept), '--dry-run'];
        const foreseen = await run<PruneReport>(...dryRun);
        // One snapshot was added.
        expect(foreseen.guests[0]?.removed).toHaveLength(shape.snapshots + 1 - kept);
        for (const last of [kept, 2]) {
          const rules = ['--keep-last', String(last), '--grace', '0', '--max-waste', '5'];
          const { guests } = await run<PruneReport>('prune', store, ...rules);
          expect(guests[0]?.rewrittenPacks).toBeGreaterThan(0);
          expect(guests[0]?.freedBytes).toBeGreaterThan(0);
        }
        const { isDamaged, guests } = await run<VerifyReport>('verify', store);
        expect(isDamaged).toBe(false);
        expect(guests[0]?.snapshots).toBe(2);
      },
      limitMs,
    );
  },
);
