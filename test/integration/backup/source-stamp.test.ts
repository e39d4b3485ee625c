import { appendFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import type { GuestDefinition } from '../../../src/guest/definition.ts';
import { refuseChangedSource, stampSource } from '../../../src/hold/source-stamp.ts';
import { scratchDirectory } from '../../support/images/images.ts';

const scratch = scratchDirectory();
afterAll(() => {
  scratch[Symbol.dispose]();
});

function guestOf(name: string): { guest: GuestDefinition; path: string } {
  const path = join(scratch.path, name);
  writeFileSync(path, Buffer.alloc(1024));
  const disks = [{ device: 'ubd0', path, readOnly: false }];
  const guest: GuestDefinition = {
    name: 'web',
    driver: 'uml',
    memoryBytes: null,
    cpuCount: null,
    kernel: null,
    initrd: null,
    disks,
    commandLine: [],
  };
  return { guest, path };
}

describe('an image that was copied', () => {
  test('and lies there as it was does not stand in the way', async () => {
    const { guest } = guestOf('still');
    await expect(refuseChangedSource(guest, await stampSource(guest))).resolves.toBeUndefined();
  });

  test.each<[string, (path: string) => void]>([
    ['was written to since', (path) => utimesSync(path, 1, 2)],
    ['has grown since', (path) => appendFileSync(path, 'more')],
  ])('and %s keeps the guest here', async (_, change) => {
    const { guest, path } = guestOf('changed');
    const stamp = await stampSource(guest);
    change(path);
    await expect(refuseChangedSource(guest, stamp)).rejects.toMatchObject({
      code: 'image-in-use',
      message: expect.stringContaining(path),
    });
  });
});
