import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { GuestDefinition } from '../../../src/guest/definition.ts';
import { offlineDefinition } from '../../../src/guest/offline-definition.ts';
import { createRecordStore, type RecordStore } from '../../../src/guest/record-store.ts';
import { warnOfImageOfGuest } from '../../../src/guest/disks/image-of-guest.ts';
import { fakeDefinition, fakeDriver } from '../../support/guests/fake-driver.ts';
import { scratchDirectory } from '../../support/images/images.ts';

let scratch: ReturnType<typeof scratchDirectory>;
let records: RecordStore;
let image: string;
let running: GuestDefinition[];

beforeEach(() => {
  scratch = scratchDirectory();
  records = createRecordStore(join(scratch.path, 'guests'));
  image = join(scratch.path, 'web.img');
  writeFileSync(image, 'x');
  running = [];
});

afterEach(() => scratch[Symbol.dispose]());

const guest = (name: string, ...images: string[]) => fakeDefinition(name, images);

async function warnings(definition = offlineDefinition(image)): Promise<string[]> {
  const told: string[] = [];
  await warnOfImageOfGuest(
    { definition },
    { drivers: [fakeDriver(...running)], records },
    {
      signal: new AbortController().signal,
      report: (event) => void (event.type === 'warning' && told.push(event.message)),
    },
  );
  return told;
}

test('the image of a remembered guest is warned of, by any path', async () => {
  symlinkSync(image, join(scratch.path, 'same.img'));
  await records.write({ definition: guest('web', join(scratch.path, 'same.img')), state: 'halted' });
  expect(await warnings()).toEqual([
    `${image} is the disk of the guest web. To get snapshots that can be booted, back the guest up by its name: web`,
  ]);
});

test('the image of a running guest is warned of', async () => {
  running = [guest('mail', image)];
  expect(await warnings()).toHaveLength(1);
});

test('no warning for one of two disks, an image of no guest, or a guest named by its name', async () => {
  await records.write({ definition: guest('web', image, join(scratch.path, 'b.img')), state: 'halted' });
  await records.write({ definition: guest('mail', join(scratch.path, 'gone.img')), state: 'halted' });
  expect(await warnings()).toEqual([]);
  running = [guest('web', image)];
  expect(await warnings(guest('web', image))).toEqual([]);
});

test('no warning for the image of a guest that was moved away: it cannot be backed up here', async () => {
  const move = { destination: 'new.example', directory: null, sshConfigFile: null, remoteCommand: null };
  await records.write({ definition: guest('web', image), state: 'moved', move });
  expect(await warnings()).toEqual([]);
});
