import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ExchangeWorld } from '../../support/archives/exchange-world.ts';
import { ovaTools, ovf, ovfManifest, vmdkOf, writeOva } from '../../support/archives/ova.ts';
import { sha256Of } from '../../support/archives/read-back.ts';
import { failureOf } from '../../support/failures.ts';
import { fileSha256, writeSparseImage } from '../../support/images/sparse-images.ts';
import { describeWithTools } from '../../support/programs/tools.ts';

const MIB = 2 ** 20;

describeWithTools('an OVA', ovaTools, () => {
  const world = new ExchangeWorld();
  const image = join(world.path, 'web.img');
  let vmdk: Buffer;
  let number = 0;

  beforeAll(() => {
    writeSparseImage(image, {
      sectors: 32 * 2048,
      pieces: [
        { sector: 0, sectors: 20, kind: 'noise' },
        { sector: 20_000, sectors: 5000, kind: 'text' },
      ],
    });
    vmdk = vmdkOf(image);
  });
  afterAll(() => world[Symbol.asyncDispose]());

  /** Writes a tar of these members, and returns its path. */
  function ova(...members: [name: string, content: Uint8Array][]): string {
    const path = join(world.path, `web-${number++}.ova`);
    writeOva(path, members);
    return path;
  }

  function newDirectory(): string {
    const path = join(world.path, `directory-${number++}`);
    mkdirSync(path);
    return path;
  }

  const manifest = (sum: string) =>
    ovfManifest([
      ['web.ovf', sha256Of(ovf)],
      ['web-disk1.vmdk', sum],
    ]);

  test('is imported: its disk is unpacked, read back, and compared with its manifest', async () => {
    const directory = newDirectory();
    const from = ova(['web.ovf', ovf], manifest(sha256Of(vmdk)), ['web-disk1.vmdk', vmdk]);
    const report = await world.import({ from, to: directory });
    const sha256 = await fileSha256(image);
    expect(report).toMatchObject({
      content: 'ova',
      checked: 'ovf-manifest',
      disks: [{ name: 'web-disk1.img', sizeBytes: statSync(image).size, sha256 }],
    });
    expect(readdirSync(directory)).toEqual(['web-disk1.img']);
    expect(await fileSha256(join(directory, 'web-disk1.img'))).toBe(sha256);
    expect(statSync(join(directory, 'web-disk1.img')).blocks * 512).toBeLessThan(8 * MIB);
  });

  test('may have no manifest, and files that are no disks', async () => {
    const to = join(newDirectory(), 'web.img');
    const from = ova(['web.ovf', ovf], ['web-disk1.vmdk', vmdk], ['tools.iso', Buffer.alloc(2048)]);
    expect(await world.import({ from, to })).toMatchObject({ content: 'ova', checked: null });
    expect(await fileSha256(to)).toBe(await fileSha256(image));
  });

  test('is refused, with nothing left, if a checksum or the disk is wrong', async () => {
    const wrong = '0'.repeat(64);
    const cut = vmdk.subarray(0, 4096);
    const cases: [string, string, string][] = [
      [ova(['web.ovf', ovf], manifest(wrong), ['web-disk1.vmdk', vmdk]), 'archive-damaged', 'checksum'],
      [ova(['web.ovf', ovf], manifest(wrong)), 'archive-damaged', 'no disk'],
      [
        ova(['web.ovf', ovf], ['a.vmdk', vmdk], ['b.mf', Buffer.from('hello')]),
        'archive-damaged',
        'not valid',
      ],
      [
        ova(['web.ovf', ovf], ['a.vmdk', vmdk], ['b.mf', Buffer.from(`SHA1(c.vmdk)= ${'0'.repeat(40)}\n`)]),
        'archive-damaged',
        'but not the file',
      ],
      [ova(['web.ovf', ovf], ['a.vmdk', Buffer.alloc(4096)]), 'image-unsupported', 'VMDK'],
      [ova(['web.ovf', ovf], ['a.vmdk', cut]), 'image-not-a-disk', ''],
    ];
    for (const [from, code, says] of cases) {
      const directory = newDirectory();
      const failure = await failureOf(() => world.import({ from, to: directory }));
      expect(failure).toMatchObject({ code, message: expect.stringContaining(says) });
      expect(readdirSync(directory)).toEqual([]);
    }
  });
});
