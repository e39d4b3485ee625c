import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { chunkGridFor } from '../../../src/chunk/chunk-grid.ts';
import { chunkId, isAllZero } from '../../../src/chunk/chunk-id.ts';
import { ChunkMap } from '../../../src/chunk/chunk-map.ts';
import { RunningChunkMap } from '../../../src/chunk/running-chunk-map.ts';
import { seededBytes } from '../../support/images/images.ts';

const CHUNK = 65536;
const noise = seededBytes(1, 5 * CHUNK);

/** The fingerprint of a whole disk, chunk by chunk. */
function fingerprintOf(disk: Uint8Array): string {
  const map = new ChunkMap(chunkGridFor(disk.length));
  for (let position = 0; position < map.grid.chunkCount; position++) {
    const chunk = disk.subarray(position * CHUNK, (position + 1) * CHUNK);
    if (!isAllZero(chunk)) map.set(position, chunkId(chunk));
  }
  return map.fingerprint();
}

test('the fingerprint is that of the whole disk, however its bytes are cut, and with gaps', () => {
  const pieces = fc.array(
    fc.record({ gap: fc.nat(2 * CHUNK), length: fc.nat(2 * CHUNK), zero: fc.boolean() }),
  );
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 * CHUNK }), pieces, (sizeBytes, some) => {
      const disk = Buffer.alloc(sizeBytes);
      const running = new RunningChunkMap(sizeBytes);
      let offset = 0;
      for (const { gap, length, zero } of some) {
        offset = Math.min(sizeBytes, offset + gap);
        const end = Math.min(sizeBytes, offset + length);
        const bytes = zero ? Buffer.alloc(end - offset) : noise.subarray(offset, end);
        disk.set(bytes, offset);
        running.add(offset, bytes);
        offset = end;
      }
      expect(running.fingerprint()).toBe(fingerprintOf(disk));
    }),
  );
});

test('a piece may be overwritten as soon as it was added', () => {
  const memory = Buffer.alloc(1000, 'x');
  const running = new RunningChunkMap(2 * CHUNK);
  running.add(CHUNK - 500, memory);
  memory.fill('y');
  const disk = Buffer.alloc(2 * CHUNK).fill('x', CHUNK - 500, CHUNK + 500);
  expect(running.fingerprint()).toBe(fingerprintOf(disk));
});
