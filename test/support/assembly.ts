import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packFileName, type Pack } from '../../src/pack/pack.ts';
import { chunkGridFor } from '../../src/chunk/chunk-grid.ts';
import { ChunkMap, chunkMapText } from '../../src/chunk/chunk-map.ts';
import { bestZstd } from '../../src/codec/zstd.ts';
import type { FramePool } from '../../src/workers/frame-pool.ts';
import { openImage } from '../../src/image/open-image.ts';
import { captureImage, type CaptureOptions } from '../../src/transfer/capture.ts';
import type { ApplyPool } from '../../src/transfer/compare-chunks.ts';
import { ImageApply } from '../../src/transfer/image-apply.ts';
import type { ImageTarget } from '../../src/image/target/image-target.ts';
import { scratchDirectory } from './images/images.ts';

/** The built entry of worker threads: FramePool needs JavaScript. */
export const frameWorkerUrl = new URL('../../dist/workers/frame-worker.js', import.meta.url);
/** The built entry of the thread that unpacks bzip2. */
export const bunzipWorkerUrl = new URL('../../dist/workers/bunzip2-worker.js', import.meta.url);

export interface CapturedImage {
  packs: Pack[];
  map: ChunkMap;
  readBytes: number;
  /** What packs hold of it, as was told while it was read. */
  packedBytes: number;
}

/** Captures everything of the image that is not a hole, and keeps all of its packs. */
export async function captureFile(
  path: string,
  pool: FramePool,
  options: Pick<CaptureOptions, 'known' | 'sealKey'> = {},
): Promise<CapturedImage> {
  await using source = await openImage(path);
  const packs: Pack[] = [];
  let readBytes = 0;
  let packedBytes = 0;
  const onRead = (bytes: number, packed: number) => {
    readBytes += bytes;
    packedBytes += packed;
  };
  const extents = source.dataExtents();
  const map = new ChunkMap(chunkGridFor(source.sizeBytes));
  for await (const pack of captureImage(source, { extents, map, level: () => 3, pool, onRead, ...options }))
    packs.push(pack);
  return { packs, map, readBytes, packedBytes };
}

/** For a new target, whose chunk map is that of the packs that come. */
export function applyTo(target: ImageTarget, pool: ApplyPool): ImageApply {
  const map = new ChunkMap(chunkGridFor(target.imageBytes));
  return new ImageApply(target, map, {
    pool,
    signal: new AbortController().signal,
    onReadBack: () => undefined,
  });
}

/** Writes the packs, and waits until all of it is read back. */
export async function applyPacks(packs: readonly Pack[], apply: ImageApply): Promise<void> {
  using scratch = scratchDirectory();
  for (const pack of packs) await apply.write({ packId: pack.id, packPath: writePack(pack, scratch.path) });
  await apply.settled();
}

/** Answers with the path of the pack's file. */
export function writePack({ id, bytes }: Pick<Pack, 'id' | 'bytes'>, directory: string): string {
  const path = join(directory, packFileName(id));
  writeFileSync(path, bytes);
  return path;
}

/** Packs and map as files, as a store or a person would keep them. */
export function writeCapture({ packs, map }: CapturedImage, directory: string): string {
  for (const pack of packs) writePack(pack, directory);
  const zstd = bestZstd();
  const mapFile = join(directory, 'chunk-map.zst');
  writeFileSync(mapFile, zstd.compress(Buffer.from([...chunkMapText(map)].join('')), 3));
  return mapFile;
}
