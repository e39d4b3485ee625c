import { Failure } from '../../failure.ts';
import { mapOrdered } from '../../pipeline/map-ordered.ts';
import { announcedSnapshots, readAnnounced, unlessMissing } from '../../repository/announced-snapshot.ts';
import type { GuestReader } from '../../repository/guest-reader.ts';
import { LiveChunks } from '../../repository/chunk-index/live-chunks.ts';
import type { Snapshot } from '../../repository/snapshot.ts';
import { readPageAnywhere } from '../../repository/trash/trashed-text.ts';

const FILES_AT_ONCE = 8;

/** The part of a snapshot that a prune uses. */
export interface ReachingSnapshot {
  id: string;
  createdAt: Date;
  isPublished: boolean;
  pages: readonly string[];
}

/**
 * The snapshots of a guest, including those that are only announced (doc/store.md). Throws Failure `store-damaged` or
 * `store-unsupported` if one cannot be read, because then it is unknown what it needs.
 * @param known ids of snapshots to leave out
 */
export async function readSnapshots(
  folder: GuestReader,
  known: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<ReachingSnapshot[]> {
  // Announced ones are listed first: a snapshot published in between is in both lists, and none is missed.
  const announced = await announcedSnapshots(folder, signal);
  const published = new Set(await folder.snapshotIds(signal));
  const ids = [...new Set([...announced.keys(), ...published])].filter((id) => !known.has(id));
  const snapshots: ReachingSnapshot[] = [];
  const manifests = mapOrdered(ids, FILES_AT_ONCE, async (id) => ({
    isPublished: published.has(id),
    snapshot: await readOne(folder, id, published.has(id), signal),
  }));
  for await (const { isPublished, snapshot } of manifests)
    // Another prune may have removed it meanwhile.
    if (snapshot !== null) snapshots.push({ ...reachOf(snapshot), isPublished });
  return snapshots.toSorted((one, other) => (one.id < other.id ? -1 : 1));
}

async function readOne(
  folder: GuestReader,
  id: string,
  isPublished: boolean,
  signal: AbortSignal,
): Promise<Snapshot | null> {
  try {
    return isPublished
      ? await unlessMissing(folder.readSnapshot(id, signal))
      : await readAnnounced(folder, id, signal);
  } catch (error) {
    if (!(error instanceof Failure) || !['store-damaged', 'store-unsupported'].includes(error.code))
      throw error;
    const name = folder.nameOf('snapshots', id);
    throw new Failure(error.code, `${folder.guest} is not pruned: ${error.message}`, {
      advice:
        error.code === 'store-unsupported'
          ? (error.advice ?? '')
          : `It is unknown which data this snapshot needs. To give the snapshot up, delete ${name} in the store.`,
      cause: error,
    });
  }
}

function reachOf({ id, createdAt, disks }: Snapshot): Omit<ReachingSnapshot, 'isPublished'> {
  const pages = disks.flatMap((disk) => disk.pages.filter((page) => page !== null));
  return { id, createdAt: new Date(createdAt), pages };
}

/** The pages and chunks that snapshots need. Only grows. */
export class Reached {
  readonly snapshots = new Set<string>();
  readonly pages = new Set<string>();
  readonly chunks = new LiveChunks();

  /** Leaves out these snapshots. */
  ignore(ids: Iterable<string>): void {
    for (const id of ids) this.snapshots.add(id);
  }

  /** Throws Failure `store-damaged` if a page is lost, because then it is unknown which chunks it names. */
  async add(folder: GuestReader, snapshots: readonly ReachingSnapshot[], signal: AbortSignal): Promise<void> {
    const unread = new Set(snapshots.flatMap(({ pages }) => pages).filter((page) => !this.pages.has(page)));
    const texts = mapOrdered(unread, FILES_AT_ONCE, (page) => readPage(folder, page, signal));
    for await (const text of texts)
      for (const line of text.split('\n')) {
        const [, id = ''] = line.split(' ');
        if (id !== '') this.chunks.add(Buffer.from(id, 'hex'));
      }
    for (const page of unread) this.pages.add(page);
    for (const { id } of snapshots) this.snapshots.add(id);
  }
}

async function readPage(folder: GuestReader, page: string, signal: AbortSignal): Promise<string> {
  try {
    const text = await readPageAnywhere(folder, page, signal);
    if (/^(?:\d+ [0-9a-f]{64}\n)*$/.test(text)) return text;
    throw new Failure('store-damaged', `The file of page ${page} is not a page of a chunk map.`);
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'store-damaged') throw error;
    throw new Failure('store-damaged', `The data of ${folder.guest} is not pruned: ${error.message}`, {
      advice:
        'It is unknown which data its snapshots need. The next backup may send the page again. If it does not, forget the snapshots that need it.',
      cause: error,
    });
  }
}
