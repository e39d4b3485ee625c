import { viewOf } from '../bounded-read.ts';
import { Doubt } from '../doubt.ts';
import type { FatLayout } from './boot-sector.ts';
import { FREE, type FatTable } from './table.ts';
import type { ReadAt } from '../../source/read-at.ts';

/*
 * The files and directories of FAT. Each is looked up in the table, so that no cluster of one counts as free. Sources: see
 * boot-sector.ts.
 */

const ENTRY_BYTES = 32;
/** A directory has at most 65,536 entries, say Microsoft and Linux. */
const LARGEST_DIRECTORY_BYTES = 65_536 * ENTRY_BYTES;
const attribute = { volumeLabel: 0x08, directory: 0x10, longName: 0x0f };
const DELETED = 0xe5;

interface Directory {
  clusters: readonly number[];
  cluster: number;
  /** 0 for the root directory. */
  parent: number;
}

interface Entry {
  name: string;
  isDirectory: boolean;
  cluster: number;
  size: number;
}

/** Follows everything from the root directory. Throws Doubt if a cluster is in two files, or a file is not as long as it says. */
export function checkTree(read: ReadAt, layout: FatLayout, table: FatTable): void {
  const { clusterBytes, root, rootCluster } = layout;
  const walker = new ChainWalker(layout, table);
  const invalid = (): Doubt => new Doubt('one of its directories is not valid');
  const waiting: Directory[] = [];
  let directories = 0;

  const visit = (entries: Iterable<Entry>, self: number, parent: number): void => {
    const isRoot = self === 0;
    for (const { name, isDirectory, cluster, size } of entries) {
      if (name === '.' || name === '..') {
        if (isRoot || !isDirectory || cluster !== (name === '.' ? self : parent)) throw invalid();
      } else if (isDirectory) {
        const clusters = walker.follow(cluster, LARGEST_DIRECTORY_BYTES / clusterBytes);
        waiting.push({ clusters, cluster, parent: self });
      } else if (size === 0) {
        if (cluster !== 0) throw new Doubt('an empty file of it has clusters');
      } else walker.followFile(cluster, Math.ceil(size / clusterBytes));
    }
  };

  if (rootCluster === 0) visit(entriesOf([read(root.offset, root.length)]), 0, 0);
  else visit(entriesOf(bytesOf(walker.follow(rootCluster, LARGEST_DIRECTORY_BYTES / clusterBytes))), 0, 0);
  for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
    directories++;
    const { clusters, cluster, parent } = directory;
    requireDots(read(clusterOffset(layout, cluster), 2 * ENTRY_BYTES), invalid);
    visit(entriesOf(bytesOf(clusters)), cluster, parent);
  }
  // The boot sector of FAT12 and FAT16 has no copy. A directory states its own cluster, and so confirms it.
  if (rootCluster === 0 && directories === 0)
    throw new Doubt('it has no directory that confirms where its clusters are');

  function* bytesOf(clusters: readonly number[]): Generator<Uint8Array> {
    for (const cluster of clusters) yield read(clusterOffset(layout, cluster), clusterBytes);
  }
}

export function clusterOffset({ dataOffset, clusterBytes }: FatLayout, cluster: number): number {
  return dataOffset + (cluster - 2) * clusterBytes;
}

/** Each directory but the root begins with `.` and `..`. Throws if it does not. */
function requireDots(bytes: Uint8Array, invalid: () => Doubt): void {
  const names = [0, ENTRY_BYTES].map((at) => String.fromCharCode(...bytes.subarray(at, at + 11)));
  if (names[0] !== '.          ' || names[1] !== '..         ') throw invalid();
}

/** Throws Doubt for an entry behind the end: Linux would find it, other systems would not. */
function* entriesOf(pieces: Iterable<Uint8Array>): Generator<Entry> {
  let hasEnded = false;
  for (const piece of pieces) {
    const fields = viewOf(piece);
    for (let at = 0; at < piece.length; at += ENTRY_BYTES) {
      const first = fields.getUint8(at);
      hasEnded ||= first === 0;
      if (first === 0) continue;
      if (hasEnded && first !== DELETED) throw new Doubt('one of its directories goes on behind its end');
      const attributes = fields.getUint8(at + 11);
      const isLongName = (attributes & 0x3f) === attribute.longName;
      if (first === DELETED || isLongName || (attributes & attribute.volumeLabel) !== 0) continue;
      yield {
        name: String.fromCharCode(...piece.subarray(at, at + 11)).trimEnd(),
        isDirectory: (attributes & attribute.directory) !== 0,
        cluster: fields.getUint16(at + 20, true) * 65_536 + fields.getUint16(at + 26, true),
        size: fields.getUint32(at + 28, true),
      };
    }
  }
}

/** Follows chains of clusters. A cluster is followed once, so that loops end. */
class ChainWalker {
  readonly #table: FatTable;
  readonly #clusterCount: number;
  readonly #seen: Uint8Array;

  constructor({ clusterCount }: FatLayout, table: FatTable) {
    this.#table = table;
    this.#clusterCount = clusterCount;
    this.#seen = new Uint8Array(clusterCount + 2);
  }

  /** The clusters of a directory. Throws Doubt if there are more than `most`, or one is free or in another file. */
  follow(first: number, most: number): number[] {
    const clusters: number[] = [];
    let cluster = first;
    do {
      if (clusters.length >= most) throw new Doubt('one of its directories is too large');
      clusters.push(cluster);
      cluster = this.#next(cluster);
    } while (!this.#table.isEnd(cluster));
    return clusters;
  }

  /** Throws Doubt unless the file has exactly this many clusters. */
  followFile(first: number, count: number): void {
    let cluster = first;
    for (let index = 0; index < count; index++) {
      if (index > 0 && this.#table.isEnd(cluster)) throw this.#wrongLength();
      cluster = this.#next(cluster);
    }
    if (!this.#table.isEnd(cluster)) throw this.#wrongLength();
  }

  #wrongLength(): Doubt {
    return new Doubt('a file of it has more or fewer clusters than it should');
  }

  #next(cluster: number): number {
    const next = this.#table.entries[cluster];
    if (cluster < 2 || cluster >= this.#clusterCount + 2 || next === undefined)
      throw new Doubt('a file of it has a cluster that does not exist');
    if (next === FREE) throw new Doubt('a cluster of one of its files is marked as free');
    if (this.#seen[cluster] === 1) throw new Doubt('a cluster is in two of its files');
    this.#seen[cluster] = 1;
    return next;
  }
}
