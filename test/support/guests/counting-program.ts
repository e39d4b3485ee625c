import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { GuestProgram } from './guest-programs.ts';

const countScript = `#!/bin/sh
n=$(cat /count 2>/dev/null || echo 0)
while :; do n=$((n + 1)); echo $n >/count.new; busybox mv /count.new /count; busybox usleep 20000; done
`;
/** The counting is ended first: a file system that is being written to cannot be made read-only. */
const umountScript = `#!/bin/sh
busybox killall -9 counting
busybox usleep 200000
exec busybox umount "$@"
`;

/** Counts in the file `/count` all the time, also across boots. The file system is clean after a halt nevertheless. */
export const countingProgram: GuestProgram = {
  async install(tree) {
    await writeFile(join(tree, 'etc/counting'), countScript, { mode: 0o755 });
    await rm(join(tree, 'bin/umount'));
    await writeFile(join(tree, 'bin/umount'), umountScript, { mode: 0o755 });
  },
  startLines: ['busybox setsid /etc/counting &'],
};
