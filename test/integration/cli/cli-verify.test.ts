import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { BackupWorld } from '../../support/stores/backup-world.ts';
import { vmferry } from '../../support/programs/command-line.ts';
import { seededBytes } from '../../support/images/images.ts';
import { flipByte, storedFiles } from '../../support/stores/restoring.ts';

test('a store is verified and listed, and damage ends with status 20', async () => {
  await using world = new BackupWorld();
  const image = join(world.path, 'disk.img');
  writeFileSync(image, seededBytes(1, 2 ** 20));
  await world.backup(image);
  const metrics = join(world.path, 'vmferry.prom');
  const environment = { VMFERRY_STATE_DIR: join(world.path, 'state') };
  const run = (...args: string[]) => vmferry(args, environment);

  const whole = await run('verify', world.storePath, '--read-data', '--metrics', metrics);
  expect(whole).toMatchObject({ exitStatus: 0 });
  expect(whole.stdout).toMatch(/^disk\.img: 1 snapshot, no damage found; 1 of 1 pack read/);
  const listing = JSON.parse((await run('list', world.storePath, '--json')).stdout) as {
    guests: { snapshots: { state: string; verifiedAt: string }[] }[];
  };
  expect(listing.guests[0]?.snapshots).toMatchObject([{ state: 'whole' }]);
  expect(Date.parse(listing.guests[0]?.snapshots[0]?.verifiedAt ?? '')).toBeGreaterThan(0);

  for (const pack of storedFiles(world, 'disk.img', 'packs')) flipByte(pack, 5000);
  const damaged = await run('verify', world.storePath, 'disk.img', '--read-data=1%', '--json');
  expect(damaged.exitStatus).toBe(20);
  const records = damaged.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string });
  expect(records.at(-2)).toMatchObject({
    type: 'verified',
    isDamaged: true,
    guests: [{ damaged: [{ disks: [{ name: 'disk.img', ranges: [{ offset: 0, length: 65_536 }] }] }] }],
  });
  expect(records.at(-1)).toMatchObject({ type: 'error', code: 'store-damaged', exitStatus: 20 });
  expect((await run('list', world.storePath)).stdout).toMatch(/never +damaged$/m);

  // The next backup sends the same pack again, in place of the damaged one.
  await world.backup(image);
  const mended = await run('verify', world.storePath, '--read-data');
  expect(mended).toMatchObject({ exitStatus: 0 });
  expect(mended.stdout).toMatch(/^disk\.img: 2 snapshots, no damage found; 1 of 1 pack read/);
});
