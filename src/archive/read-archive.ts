import type { Extent } from '../extent/extents.ts';
import type { ByteReader } from '../codec/byte-reader.ts';
import { damagedArchive } from '../codec/damaged-archive.ts';
import { readHeader } from './read-header.ts';
import { readSparseMap } from './sparse-map.ts';
import { paddingBytes } from './tar-header.ts';

/** No archive of a guest has more members. */
const MOST_MEMBERS = 1024;

/** A file in an archive. */
export interface ReadMember {
  name: string;
  /** Of the file as it is unpacked, holes included. */
  sizeBytes: number;
  /** Bytes of it in the archive. */
  dataBytes: number;
  /** The file's data, ascending; the rest is zero. To be read to its end, before the next member. A piece is valid until the next. */
  data: () => AsyncIterable<{ offset: number; bytes: Uint8Array }>;
}

/**
 * The files of a tar, in order. Throws Failure `archive-damaged` for anything but regular files with plain, different names, and for an
 * archive without an end.
 */
export async function* readArchive(reader: ByteReader): AsyncGenerator<ReadMember, void, undefined> {
  const names = new Set<string>();
  for (;;) {
    const header = await readHeader(reader);
    if (header === null) break;
    const { name, memberBytes, sparseBytes } = header;
    if (names.has(name)) throw damagedArchive(`holds two files named ${JSON.stringify(name)}`);
    if (names.size === MOST_MEMBERS) throw damagedArchive(`holds more than ${MOST_MEMBERS} files`);
    names.add(name);
    const sizeBytes = sparseBytes ?? memberBytes;
    const whole = { extents: [{ offset: 0, length: memberBytes }], dataBytes: memberBytes };
    const { extents, dataBytes } =
      sparseBytes === null ? whole : await readSparseMap(reader, memberBytes, sparseBytes);
    let isRead = false;
    const data = async function* () {
      yield* dataOf(reader, extents);
      isRead = true;
    };
    yield { name, sizeBytes, dataBytes, data };
    if (!isRead) throw new Error(`${name} was not read to its end`);
    await reader.skip(paddingBytes(dataBytes));
  }
  // tar fills up its last record with zeros. What comes behind the end of an archive is not part of it.
  for await (const _ of reader.others());
}

async function* dataOf(
  reader: ByteReader,
  extents: Iterable<Extent>,
): AsyncGenerator<{ offset: number; bytes: Uint8Array }, void, undefined> {
  for (const { offset, length } of extents) {
    let at = offset;
    for await (const bytes of reader.pieces(length)) {
      yield { offset: at, bytes };
      at += bytes.length;
    }
  }
}
