/**
 * The parts of a move, each alone. As in vmferry, data comes frame by frame: the used part of the image, in frames of 1 MiB
 * without chunks of zeros. Only the part's own CPU seconds are counted, not the fetching of its bytes.
 */
import { constants, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { createHash } from 'node:crypto';
import process from 'node:process';
import { chunkGridFor } from '../../../dist/chunk/chunk-grid.js';
import { bestZstd } from '../../../dist/codec/zstd.js';
import { planFrames } from '../../../dist/workers/frame-plan.js';
import { openSourceDisk } from '../../../dist/transfer/source-disk.js';
import { PartFrame } from './part-frame.mjs';

/** By name: handles one frame after the other inside of `measured`, and waits for the end if there is one. */
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

  /** Writes past the page cache, and waits until the data is on the disk. */
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

  /** Reads past the page cache. */
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

/** Reused memory for compressed frames. */
let compressed = Buffer.alloc(0);

function room(plainBytes) {
  if (compressed.length < 2 * plainBytes) compressed = Buffer.allocUnsafeSlow(2 * plainBytes);
  return compressed;
}

/**
 * Does one of `shares` shares of a part, in its own process; returns its CPU seconds.
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
