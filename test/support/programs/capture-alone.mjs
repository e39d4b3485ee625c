/**
 * Captures a whole image with the built program, throws the packs away, and prints what that took of this process's CPU
 * seconds, its start left out. Arguments: the image, the zstd level.
 */
import process from 'node:process';
import { chunkGridFor } from '../../../dist/chunk/chunk-grid.js';
import { ChunkMap } from '../../../dist/chunk/chunk-map.js';
import { FramePool } from '../../../dist/workers/frame-pool.js';
import { openImage } from '../../../dist/image/open-image.js';
import { captureImage } from '../../../dist/transfer/capture.js';

const [, , path, level] = process.argv;
const workerUrl = new URL('../../../dist/workers/frame-worker.js', import.meta.url);
const pool = new FramePool(workerUrl);
const source = await openImage(path);
// each worker has started when it answers
await pool.runOnEach({ kind: 'flush', capture: 0 });
const before = process.cpuUsage();
const extents = [{ offset: 0, length: source.sizeBytes }];
let packedBytes = 0;
const map = new ChunkMap(chunkGridFor(source.sizeBytes));
for await (const { bytes } of captureImage(source, { extents, map, level: () => Number(level), pool }))
  packedBytes += bytes.length;
const { user, system } = process.cpuUsage(before);
console.log(JSON.stringify({ cpuSeconds: (user + system) / 1e6, packedBytes }));
await pool[Symbol.asyncDispose]();
