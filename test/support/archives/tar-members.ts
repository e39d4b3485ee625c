import { BLOCK_BYTES, checksumOf, memberHeader, paddingBytes } from '../../../src/archive/tar-header.ts';

const modifiedAt = new Date(0);

/** A member as an export writes it. */
export function member(name: string, content: Uint8Array, records: Record<string, string> = {}): Buffer {
  return Buffer.concat([
    memberHeader({ name, sizeBytes: content.length, modifiedAt, records }),
    content,
    Buffer.alloc(paddingBytes(content.length)),
  ]);
}

/** A sparse member with this text as its map, whatever that says. */
export function sparseMember(
  name: string,
  sizeBytes: number | string,
  map: string,
  data: Uint8Array,
): Buffer {
  const padded = Buffer.concat([Buffer.from(map), Buffer.alloc(paddingBytes(map.length)), data]);
  return member('GNUSparseFile.0/x', padded, {
    'GNU.sparse.major': '1',
    'GNU.sparse.minor': '0',
    'GNU.sparse.name': name,
    'GNU.sparse.realsize': String(sizeBytes),
  });
}

/** A whole tar of these members. */
export function tarOf(...members: Uint8Array[]): Buffer {
  return Buffer.concat([...members, Buffer.alloc(2 * BLOCK_BYTES)]);
}

/** The member with bytes of its last header changed, and the checksum made right again. */
export function withHeader(one: Uint8Array, offset: number, text: string): Buffer {
  const changed = Buffer.from(one);
  changed.write(text, offset, 'latin1');
  changed.write(checksumOf(changed).toString(8).padStart(6, '0'), 148);
  return changed;
}
