import { chmodSync, mkdirSync } from 'node:fs';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { run } from '../../../src/system/processes.ts';
import { findTool } from '../programs/tools.ts';

/** Something that a guest's image has and starts. */
export interface GuestProgram {
  install: (tree: string) => Promise<void>;
  /** Lines of the shell script that boots the guest. */
  startLines: readonly string[];
}

/** The guest shuts down when its power button is pressed. */
export const powerButton: GuestProgram = {
  async install(tree) {
    const directory = join(tree, 'etc/acpi/PWRF');
    mkdirSync(directory, { recursive: true });
    await writeFile(
      join(directory, '00000080'),
      '#!/bin/sh\necho power button\nexec /sbin/quick-poweroff\n',
      {
        mode: 0o755,
      },
    );
  },
  // In a session of its own: the end of the boot script ends the others.
  startLines: ['busybox setsid busybox acpid -d -p /tmp/acpid.pid 2>/dev/null &'],
};

/** QEMU's agent, with the libraries that it needs, on its usual channel. */
export const guestAgent: GuestProgram = {
  async install(tree) {
    const program = findTool('qemu-ga') ?? 'qemu-ga';
    const { stdout } = await run('ldd', [program]);
    const libraries = [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, path]) => path ?? '');
    for (const file of [program, ...libraries]) {
      mkdirSync(dirname(join(tree, file)), { recursive: true });
      await copyFile(file, join(tree, file));
      chmodSync(join(tree, file), 0o755);
    }
    // What it calls to halt the guest.
    await writeFile(join(tree, 'sbin/shutdown'), '#!/bin/sh\nexec /sbin/quick-poweroff\n', { mode: 0o755 });
  },
  // The port may come after the guest's first program. Without a port there is no agent.
  startLines: [
    "busybox setsid sh -c 'n=0; until [ -c /dev/vport?p1 ] || [ $n -ge 100 ]; do busybox usleep 200000; n=$((n + 1)); done; " +
      "exec qemu-ga -d -p /dev/vport?p1 -t /tmp -f /tmp/qemu-ga.pid -l /tmp/qemu-ga.log' 2>/dev/null &",
  ],
};

/** Counts the boots on the guest's second disk as well, if it has one, whatever its hypervisor calls it. */
export const secondDisk: GuestProgram = {
  async install(tree) {
    await mkdir(join(tree, 'mnt'));
  },
  startLines: [
    'for name in vdb xvdb ubdb sdb; do [ -b /dev/$name ] && mount -t ext3 /dev/$name /mnt; done',
    '[ -f /mnt/boots ] && echo $(( $(cat /mnt/boots) + 1 )) >/mnt/boots && umount /mnt',
  ],
};
