import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { GuestProgram } from '../../support/guests/guest-programs.ts';

const BLOCK_BYTES = 4096;
const PIECE_BYTES = 2 ** 20;
/** Of each block; the rest is text. Like programs and documents, it is compressed to about a third. */
const RANDOM_BYTES = 1200;
const WRITE_BYTES = 65_536;
const TICK_MICROSECONDS = 50_000;

const tickScript = `#!/bin/sh
n=0
while :; do n=$((n + 1)); echo TICK $n; busybox usleep ${TICK_MICROSECONDS}; done
`;
/** Its writers are ended first: a file system that is being written to cannot be made read-only. */
const powerOffScript = `#!/bin/sh
busybox killall -9 ticking writing
until mount -o remount,ro /; do busybox usleep 10000; done
exec /sbin/poweroff -f
`;

/** Prints `TICK n` twenty times a second, and writes 1 MB each second to random places of a large file. */
export function writingProgram(bulkBytes: number): GuestProgram {
  const writes = Math.floor(bulkBytes / WRITE_BYTES);
  const writeScript = `#!/bin/sh
while :; do
  busybox dd if=/dev/urandom of=/data/bulk bs=${WRITE_BYTES} count=1 seek=$((RANDOM * ${writes} / 32768)) conv=notrunc 2>/dev/null
  busybox usleep ${(1e6 * WRITE_BYTES) / 1e6}
done
`;
  return {
    async install(tree) {
      await pipeline(Readable.from(bulk(bulkBytes)), createWriteStream(join(tree, 'data/bulk')));
      for (const [path, script] of [
        ['etc/ticking', tickScript],
        ['etc/writing', writeScript],
        ['sbin/quick-poweroff', powerOffScript],
      ] as const) {
        await writeFile(join(tree, path), script);
        await chmod(join(tree, path), 0o755);
      }
    },
    startLines: ['busybox setsid /etc/ticking &', 'busybox setsid /etc/writing &'],
  };
}

function* bulk(bulkBytes: number): Iterable<Buffer> {
  const text = 'The quick brown fox jumps over the lazy dog. '.repeat(100);
  for (let done = 0; done < bulkBytes; done += PIECE_BYTES) {
    const piece = Buffer.alloc(PIECE_BYTES, text);
    for (let at = 0; at < PIECE_BYTES; at += BLOCK_BYTES) randomBytes(RANDOM_BYTES).copy(piece, at);
    yield piece;
  }
}
