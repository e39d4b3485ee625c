import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { type Extent, mergeTouching, subtract, totalLength } from '../../../src/extent/extents.ts';
import { extUsedExtents } from '../../../src/image/file-systems/ext/used-blocks.ts';
import { openImage } from '../../../src/image/open-image.ts';
import { probeImage, regionReader } from '../../../src/image/probe.ts';
import { usedExtents } from '../../../src/image/used-extents.ts';
import {
  copyExtents,
  extSizeBytes,
  extVariants,
  filesInExt,
  freeExtentsByDumpe2fs,
  imageTools,
  makeExtImage,
  runTool,
  scratchDirectory,
} from '../../support/images/images.ts';
import { describeWithTools } from '../../support/programs/tools.ts';

describeWithTools('the used blocks of ext2, ext3 and ext4', imageTools, () => {
  test.each(extVariants)(
    '$name: exactly the blocks that dumpe2fs lists as free are left out',
    async (variant) => {
      using scratch = scratchDirectory();
      const path = join(scratch.path, 'image');
      makeExtImage(path, variant);
      await using source = await openImage(path);
      const layout = probeImage(source);
      const whole: Extent = { offset: 0, length: source.sizeBytes };
      expect(layout.regions).toMatchObject([{ ...whole, clean: true, skippable: true }]);
      expect(layout.regions[0]).toMatchObject({ label: 'guest root', kind: variant.name.slice(0, 4) });

      const free = [...mergeTouching(freeExtentsByDumpe2fs(path))];
      expect(free.length).toBeGreaterThan(3);
      const inUse = [...extUsedExtents(regionReader(source, 0), source.sizeBytes)];
      expect([...subtract([whole], inUse)]).toEqual(free);
      const fileSystemBytes = extSizeBytes(path);
      expect(layout.regions[0]?.usedBytes).toBe(fileSystemBytes - totalLength(free));
      expect(totalLength(inUse)).toBe(source.sizeBytes - totalLength(free));

      // mke2fs makes holes where it clears the journal
      const data = [...source.dataExtents()];
      const used = [...usedExtents(source, layout, { everyBlock: false })];
      expect(used).toEqual([...subtract(data, free)]);
      expect([...usedExtents(source, layout, { everyBlock: true })]).toEqual(data);

      const copy = join(scratch.path, 'copy');
      copyExtents(path, copy, source.sizeBytes, used);
      runTool('e2fsck', ['-fn', copy]);
      expect(filesInExt(copy)).toEqual(filesInExt(path));
    },
  );
});
