import { describe, expect, test } from '@jest/globals';
import { isPackedHead } from '../../../../src/operations/unpack/is-packed.ts';
import { member } from '../../../support/archives/tar-members.ts';

const hex = (text: string): Buffer => Buffer.concat([Buffer.from(text, 'hex'), Buffer.alloc(502, 7)]);
const content = Buffer.alloc(512);

describe('told by its first bytes, it is packed:', () => {
  test.each([
    ['zstd', hex('28b52ffd')],
    ['zstd with a skippable frame', hex('5e2a4d18')],
    ['gzip', hex('1f8b08')],
    ['bzip2', hex('425a6839314159265359')],
    ['xz', hex('fd377a585a00')],
    ['an archive', member('manifest.json', content)],
    ['an OVA', member('web.ovf', content)],
  ])('%s', (_, head) => {
    expect(isPackedHead(head)).toBe(true);
  });
});

describe('told by its first bytes, it is an image:', () => {
  test.each([
    ['an empty file', Buffer.alloc(0)],
    ['zeros', Buffer.alloc(512)],
    ['letters like those of bzip2', hex('425a6839000000000000')],
    ['bytes like those of gzip', hex('1f8b00')],
    ['a tar of other files', member('etc/passwd', content)],
    ['a qcow2 image', hex('514649fb00000003')],
  ])('%s', (_, head) => {
    expect(isPackedHead(head)).toBe(false);
  });
});
