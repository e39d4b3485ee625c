import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { run } from '../../../src/system/processes.ts';
import { describeUnless } from '../../support/programs/tools.ts';
import {
  bootUmlGuest,
  buildGuestImage,
  damagedGuestFiles,
  guestBootCount,
} from '../../support/guests/uml-guest.ts';
import { umlMissing } from '../../support/guests/uml-kernel.ts';

describeUnless(umlMissing(), 'the guest that tests boot', () => {
  test('comes up, counts its boots and keeps its data', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'vmferry-test-'));
    try {
      const image = await buildGuestImage({ path: join(directory, 'guest.img') });
      expect(await guestBootCount(image.path)).toBe(0);
      const guest = await bootUmlGuest({ image: image.path, name: 'self-test' });
      await guest.stop();
      // The guest was killed, so what it wrote is in the journal.
      await run('e2fsck', ['-p', image.path]);
      expect(await guestBootCount(image.path)).toBe(1);
      expect(await damagedGuestFiles(image.path, image.files)).toEqual([]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
