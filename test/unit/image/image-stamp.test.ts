import { appendFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { refuseChanged, stampImages } from '../../../src/image/image-stamp.ts';
import { scratchDirectory } from '../../support/images/images.ts';

const scratch = scratchDirectory();
afterAll(() => {
  scratch[Symbol.dispose]();
});

function imageAt(name: string): { path: string } {
  const path = join(scratch.path, name);
  writeFileSync(path, Buffer.alloc(1024));
  return { path };
}

describe('an image that was read', () => {
  test('and did not change is accepted', async () => {
    await expect(refuseChanged(await stampImages([imageAt('still')]), '')).resolves.toBeUndefined();
  });

  test.each<[string, (path: string) => void]>([
    ['was written to', (path) => utimesSync(path, 1, 2)],
    ['has grown', (path) => appendFileSync(path, 'more')],
  ])('and %s meanwhile is refused', async (_, change) => {
    const image = imageAt('changed');
    const stamps = await stampImages([imageAt('still'), image]);
    change(image.path);
    await expect(refuseChanged(stamps, 'Stop what writes to it.')).rejects.toMatchObject({
      code: 'image-in-use',
      message: `${image.path} changed while it was read.`,
      advice: 'Stop what writes to it.',
    });
  });
});
