import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { run } from '../../../src/system/processes.ts';
import { runTool, scratchDirectory } from '../images/images.ts';
import { bootUmlGuest, buildGuestImage, type BootedGuest, type GuestImageOptions } from './uml-guest.ts';

/** A guest that writes all the time: the next number into `/count`, as fast as it can. */
export interface CountingGuest extends BootedGuest {
  image: string;
  /**
   * The number in the guest's own `/count` now, on its disk or not. Do not call it while the guest is stopped: waiting
   * for a file that a stopped program has locked would hang the guest.
   */
  count(): Promise<number>;
  /** Returns when the guest is not stopped and has counted on, which shows that it runs. */
  countsOn(): Promise<void>;
  isStopped(): Promise<boolean>;
}

const countScript = `#!/bin/sh
n=0
while :; do n=$((n + 1)); echo $n >/count.new; busybox mv /count.new /count; done
`;
/** The writing program is ended first: a file system that is being written to cannot be made read-only. */
const shutdownScript = `#!/bin/sh
busybox killall -9 counting
until mount -o remount,ro /; do busybox usleep 10000; done
umount -a -r
`;
const inittab = `::sysinit:/etc/rc
::shutdown:/etc/shut-down
::ctrlaltdel:/sbin/poweroff
::respawn:/etc/counting
`;

export async function bootCountingGuest(
  options: GuestImageOptions & { name: string; umlDir: string; extraArgs?: readonly string[] },
): Promise<CountingGuest> {
  const { name, umlDir, extraArgs = [], path } = options;
  await buildGuestImage({ dataBytes: 65_536, ...options });
  using files = scratchDirectory();
  writeFileSync(join(files.path, 'inittab'), inittab);
  writeFileSync(join(files.path, 'counting'), countScript);
  writeFileSync(join(files.path, 'shut-down'), shutdownScript);
  const commands = [
    'rm /etc/inittab',
    `write ${join(files.path, 'inittab')} /etc/inittab`,
    ...['counting', 'shut-down'].flatMap((name) => [
      `write ${join(files.path, name)} /etc/${name}`,
      `set_inode_field /etc/${name} mode 0100755`,
    ]),
  ];
  runTool('debugfs', ['-w', '-f', '-', path], `${commands.join('\n')}\n`);
  const guest = await bootUmlGuest({ image: path, name, umlDir, extraArgs });
  const ask = async (...words: string[]) =>
    (await run('uml_mconsole', [join(umlDir, name, 'mconsole'), ...words], { timeoutMs: 5_000 })).stdout;
  const count = async () => Number(/^OK\s+(\d+)\s*$/.exec(await ask('proc', '1/root/count'))?.[1]);
  const counts = async (isDone: (count: number) => boolean) => {
    const deadlineMs = Date.now() + 30_000;
    while (!isDone(await count())) {
      if (Date.now() > deadlineMs) {
        const answers = [
          await ask('proc', '1/root/count'),
          await ask('proc', 'uptime'),
          await ask('version'),
        ];
        throw new Error(`the guest ${name} does not count on; it answers: ${answers.join(' | ')}`);
      }
      await delay(20);
    }
  };
  const isStopped = async () => {
    // Only a running guest accepts "stop".
    const said = await ask('stop');
    if (said.startsWith('ERR Already stopped')) return true;
    // An order without an answer may still stop the guest for a while (drivers/uml/mconsole/stop-and-go.ts).
    const deadlineMs = Date.now() + 30_000;
    let runsSinceMs: number | null = null;
    for (;;) {
      const answer = await ask('go');
      if (said.startsWith('OK') && /^(OK|ERR Not stopped)/.test(answer)) return false;
      if (answer.startsWith('ERR Not stopped')) runsSinceMs ??= Date.now();
      else runsSinceMs = null;
      if (runsSinceMs !== null && Date.now() - runsSinceMs > 1_000) return false;
      if (Date.now() > deadlineMs) throw new Error(`the guest ${name} does not go on`);
      await delay(50);
    }
  };
  await counts((number) => number > 0);
  return {
    ...guest,
    image: path,
    count,
    isStopped,
    async countsOn() {
      const deadlineMs = Date.now() + 30_000;
      while (await isStopped()) {
        if (Date.now() > deadlineMs) throw new Error(`the guest ${name} stays stopped`);
        await delay(50);
      }
      let seen: number | null = null;
      // Not a number: the answer came too late.
      await counts((number) => {
        const grew = seen !== null && number > seen;
        if (!Number.isNaN(number)) seen ??= number;
        return grew;
      });
    },
  };
}
