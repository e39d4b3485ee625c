import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { poll } from '../../../src/pipeline/polling.ts';
import { runTool, scratchDirectory } from '../images/images.ts';
import {
  bootUmlGuest,
  buildGuestImage,
  type BootedGuest,
  type BootOptions,
  type GuestImage,
  type GuestImageOptions,
} from './uml-guest.ts';

/** A guest that takes commands from outside while it runs, through a directory of this machine. */
export interface ObedientGuest extends BootedGuest {
  image: GuestImage;
  /** Runs shell commands in the guest; gives what they print. Throws when they fail, or take longer than a minute. */
  sh(commands: string): Promise<string>;
}

const inittab = `::sysinit:/etc/rc
::shutdown:/bin/umount -a -r
::ctrlaltdel:/sbin/quick-poweroff
::respawn:/etc/obey
`;

/** Without the directory, as on another machine, it runs, too, but takes no commands. */
const obeyScript = (directory: string) => `#!/bin/sh
mount -t hostfs -o ${directory} none /host
while :; do
  for order in /host/do-*; do
    [ -f "$order" ] || continue
    number=\${order#/host/do-}
    sh "$order" >/host/said-$number 2>&1 </dev/null
    echo $? >/host/done.new
    busybox rm "$order"
    busybox mv /host/done.new /host/done-$number
  done
  busybox usleep 20000
done
`;

export async function bootObedientGuest(
  options: GuestImageOptions & Omit<BootOptions, 'image'>,
): Promise<ObedientGuest> {
  const keyboard = mkdtempSync(join(tmpdir(), 'vmferry-keyboard-'));
  const image = await buildGuestImage({ onCtrlAltDel: 'quick-poweroff', ...options });
  teachToObey(options.path, keyboard);
  const guest = await bootUmlGuest({ ...options, image: options.path });
  let orders = 0;
  return {
    ...guest,
    image,
    sh: async (commands) => {
      const number = ++orders;
      writeFileSync(join(keyboard, 'next'), `set -e\n${commands}\n`);
      renameSync(join(keyboard, 'next'), join(keyboard, `do-${number}`));
      const done = join(keyboard, `done-${number}`);
      const limits = { timeoutMs: 60_000, intervalMs: 20, signal: new AbortController().signal };
      if ((await poll(() => Promise.resolve(existsSync(done)), limits)) === null)
        throw new Error(`${options.name} does not come to: ${commands}`);
      const said = readFileSync(join(keyboard, `said-${number}`), 'utf8');
      if (readFileSync(done, 'utf8') !== '0\n') throw new Error(`in ${options.name}: ${commands}: ${said}`);
      return said;
    },
    stop: async () => {
      await guest.stop();
      rmSync(keyboard, { recursive: true, force: true });
    },
  };
}

function teachToObey(image: string, keyboard: string): void {
  using files = scratchDirectory();
  const [inittabFile, obeyFile] = [join(files.path, 'inittab'), join(files.path, 'obey')];
  writeFileSync(inittabFile, inittab);
  writeFileSync(obeyFile, obeyScript(keyboard));
  const commands = [
    'rm /etc/inittab',
    `write ${inittabFile} /etc/inittab`,
    `write ${obeyFile} /etc/obey`,
    'set_inode_field /etc/obey mode 0100755',
    'mkdir /host',
  ];
  runTool('debugfs', ['-w', '-f', '-', image], `${commands.join('\n')}\n`);
}
