/**
 * What a move does with the bytes of an image, one thing at a time. Everything comes frame by frame, as in vmferry: what is in use
 * of the image, in frames of 1 MiB, of which chunks of zeros are left out. A part's CPU seconds are of it alone: what
 * it takes to get at its bytes is not counted.
 */
import { constants, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { createHash } from 'node:crypto';
import process from 'node:process';
import { chunkGridFor } from '../../../dist/chunk/chunk-grid.js';
import { bestZstd } from '../../../dist/codec/zstd.js';
import { planFrames } from '../../../dist/workers/frame-plan.js';
import { openSourceDisk } from '../../../dist/transfer/source-disk.js';
import { PartFrame } from './part-frame.mjs';

/** By name: what does the part to one frame after the other, inside of `measured`, and ends it where there is an end to wait for. */
const parts = {
  read: () => ({ take: (frame, measured) => measured(() => frame.read()) }),

  hash: () => ({
    take(frame, measured) {
      const chunks = frame.chunks();
      measured(() => {
        for (const { plain } of chunks) createHash('sha256').update(plain).digest();
      });
    },
  }),

  compress({ level }) {
    const zstd = bestZstd();
    return {
      take(frame, measured) {
        const plain = frame.plain();
        if (plain.length > 0) measured(() => zstd.compress(plain, level, room(plain.length)));
      },
    };
  },

  unpack({ level }) {
    const zstd = bestZstd();
    return {
      take(frame, measured) {
        const plain = frame.plain();
        if (plain.length === 0) return;
        const packed = zstd.compress(plain, level, room(plain.length));
        measured(() => zstd.decompress(packed, plain.length, plain));
      },
    };
  },

  /** Past the page cache, and until it is on the disk. */
  write({ target }) {
    const fd = openSync(target, constants.O_WRONLY | constants.O_DIRECT);
    return {
      take(frame, measured) {
        const runs = frame.runs();
        measured(() => {
          for (const { plain, offset } of runs) writeSync(fd, plain, 0, plain.length, offset);
        });
      },
      finish: (measured) => measured(() => fsyncSync(fd)),
    };
  },

  /** Past the page cache. */
  readBack({ target }) {
    const fd = openSync(target, constants.O_RDONLY | constants.O_DIRECT);
    return {
      take(frame, measured) {
        const runs = frame.runs();
        measured(() => {
          for (const { plain, offset } of runs) readSync(fd, plain, 0, plain.length, offset);
        });
      },
    };
  },
};

/** Memory for compressed frames, used again. */
let compressed = Buffer.alloc(0);

function room(plainBytes) {
  if (compressed.length < 2 * plainBytes) compressed = Buffer.allocUnsafeSlow(2 * plainBytes);
  return compressed;
}

/**
 * Does one of `shares` shares of a part, in a process for this alone; gives the CPU seconds that it took.
 * @param work the path of the image, the level of compression, and the path of a file to write the image to
 */
export async function doPart(name, work, { share, shares }) {
  const disk = await openSourceDisk(work.image, { everyBlock: false });
  const grid = chunkGridFor(disk.source.sizeBytes);
  const part = parts[name](work);
  let microseconds = 0;
  const measured = (task) => {
    const before = process.cpuUsage();
    task();
    const { user, system } = process.cpuUsage(before);
    microseconds += user + system;
  };
  let index = 0;
  for (const plan of planFrames(disk.extents(), grid))
    if (index++ % shares === share) part.take(new PartFrame(disk.source.fd, grid, plan), measured);
  part.finish?.(measured);
  return microseconds / 1e6;
}
