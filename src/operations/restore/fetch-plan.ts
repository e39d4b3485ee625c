import { MOST_CHUNKS } from '../../chunk/chunk-grid.ts';
import { chunkListOf, type ChunkList } from '../../chunk/chunk-list.ts';
import type { ChunkMap } from '../../chunk/chunk-map.ts';
import type { ChunkIndex, FramePlace } from '../../repository/chunk-index/chunk-index.ts';

/** A gap up to this size between frames is read as well, because another request would cost a round trip. */
const MOST_GAP_BYTES = 128 * 1024;
/** If at least this part of a pack is wanted, gaps of any size are read as well. */
const MOST_OF_A_PACK = 0.6;
/** Limited because each worker has several requests in memory. Only a single frame may be larger. */
const MOST_REQUEST_BYTES = 2 ** 20;

/** A frame to be read, and where in the image its chunks go: one chunk may go to several places. */
export interface PlannedFrame {
  /** Its number in the index. */
  number: number;
  place: FramePlace;
  targets: ChunkList;
}

/** A range of a pack's file, and the frames that lie in it. */
export interface PlannedRequest {
  packId: string;
  offsetBytes: number;
  lengthBytes: number;
  frames: readonly PlannedFrame[];
}

export interface FetchPlan {
  /** By pack, and by place in it. */
  requests: Iterable<PlannedRequest>;
  /** Positions whose chunks are in no usable frame; ascending. */
  missing: number[];
}

/**
 * Plans how the chunks at these positions are read from the store. The requests are made lazily: the plan takes 8 bytes
 * of memory per position.
 * @param positions ascending, of chunks that are not empty
 * @param isUsable whether the chunk may be taken from that frame
 */
export function planFetch(
  index: ChunkIndex,
  map: ChunkMap,
  positions: readonly number[],
  isUsable: (frame: number, id: Uint8Array) => boolean,
): FetchPlan {
  const missing: number[] = [];
  // Frame and position in one number, so that they can be sorted quickly; frames are numbered pack by pack.
  const keys = new Float64Array(positions.length);
  let count = 0;
  for (const position of positions) {
    const id = map.get(position);
    const frame = id && index.frameNumbersOf(id).find((number) => isUsable(number, id));
    if (frame === null || frame === undefined) missing.push(position);
    else keys[count++] = frame * MOST_CHUNKS + position;
  }
  const sorted = keys.subarray(0, count).sort();
  return { missing, requests: requestsOf(index, map, sorted) };
}

function* requestsOf(index: ChunkIndex, map: ChunkMap, keys: Float64Array): Iterable<PlannedRequest> {
  const sizes = new Map(index.packs.map(({ id, sizeBytes }) => [id, sizeBytes]));
  for (const frames of groups(framesOf(index, map, keys), ({ place }) => place.packId)) {
    frames.sort((one, other) => one.place.offsetBytes - other.place.offsetBytes);
    const wantedBytes = frames.reduce((sum, { place }) => sum + place.sizeBytes, 0);
    const isMost = wantedBytes >= MOST_OF_A_PACK * (sizes.get(frames[0].place.packId) ?? Infinity);
    yield* requestsOfPack(frames, isMost ? Infinity : MOST_GAP_BYTES);
  }
}

function* requestsOfPack(frames: readonly [PlannedFrame, ...PlannedFrame[]], gapBytes: number) {
  let taken: PlannedFrame[] = [];
  let startBytes = 0;
  let endBytes = 0;
  const request = (): PlannedRequest => ({
    packId: frames[0].place.packId,
    offsetBytes: startBytes,
    lengthBytes: endBytes - startBytes,
    frames: taken,
  });
  for (const frame of frames) {
    const { offsetBytes, sizeBytes } = frame.place;
    const isNear =
      offsetBytes - endBytes <= gapBytes && offsetBytes + sizeBytes - startBytes <= MOST_REQUEST_BYTES;
    if (taken.length > 0 && !isNear) {
      yield request();
      taken = [];
    }
    if (taken.length === 0) {
      startBytes = offsetBytes;
      endBytes = offsetBytes;
    }
    taken.push(frame);
    endBytes = Math.max(endBytes, offsetBytes + sizeBytes);
  }
  yield request();
}

function* framesOf(index: ChunkIndex, map: ChunkMap, keys: Float64Array): Iterable<PlannedFrame> {
  for (const group of groups(keys, (key) => Math.floor(key / MOST_CHUNKS))) {
    const number = Math.floor(group[0] / MOST_CHUNKS);
    const targets = chunkListOf(
      group.map((key) => {
        const position = key % MOST_CHUNKS;
        return { position, id: map.get(position) ?? new Uint8Array() };
      }),
    );
    yield { number, place: index.frame(number), targets };
  }
}

/** Groups neighbours with the same key. */
function* groups<Item>(items: Iterable<Item>, keyOf: (item: Item) => unknown): Iterable<[Item, ...Item[]]> {
  let group: [Item, ...Item[]] | null = null;
  for (const item of items) {
    if (group !== null && keyOf(group[0]) === keyOf(item)) group.push(item);
    else {
      if (group !== null) yield group;
      group = [item];
    }
  }
  if (group !== null) yield group;
}
