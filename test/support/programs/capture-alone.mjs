/**
 * Captures a whole image with the built program, throws the packs away, and prints what that took of this process's CPU
 * seconds, its start left out. Arguments: the image, the zstd level.
 */
import process from 'node:process';
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
for await (const { bytes } of captureImage(source, { extents, level: () => Number(level), pool }).packs)
  packedBytes += bytes.length;
const { user, system } = process.cpuUsage(before);
console.log(JSON.stringify({ cpuSeconds: (user + system) / 1e6, packedBytes }));
await pool[Symbol.asyncDispose]();
