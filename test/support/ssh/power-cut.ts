import { copyFileSync, constants } from 'node:fs';
import { join } from 'node:path';
import { killTree } from '../programs/process-tree.ts';
import { umlProcessesOf } from '../guests/uml-processes.ts';
import { receiversOf } from '../guests/ferried-guest.ts';
import { attachLoopDevice, loopDevicesMissing, mountDevice } from '../images/loop-device.ts';
import { makeSparseFile, runTool, scratchDirectory } from '../images/images.ts';
import { toolsMissing } from '../programs/tools.ts';
import type { TwoHosts } from './two-hosts.ts';

const sizeBytes = 256 * 2 ** 20;

export function powerCutMissing(): string | null {
  return toolsMissing('mkfs.ext4') ?? loopDevicesMissing();
}

/**
 * A directory of a host of which only what was synced outlives `cut`. Its file system by itself writes nothing out for a long time, and the
 * file below has what it has written out.
 */
class FragileDirectory {
  readonly #scratch = scratchDirectory();
  readonly #path: string;
  readonly #hosts: TwoHosts;
  #file: string;
  #cuts = 0;
  #mounted: Disposable[] = [];

  private constructor(path: string, hosts: TwoHosts) {
    this.#path = path;
    this.#hosts = hosts;
    this.#file = join(this.#scratch.path, 'ext4.img');
  }

  static async mount(path: string, hosts: TwoHosts): Promise<FragileDirectory> {
    const directory = new FragileDirectory(path, hosts);
    makeSparseFile(directory.#file, sizeBytes);
    runTool('mkfs.ext4', ['-q', directory.#file]);
    await directory.#attach();
    runTool('chmod', ['700', path]);
    runTool('rmdir', [join(path, 'lost+found')]);
    runTool('sync', ['-f', path]);
    return directory;
  }

  async #attach(): Promise<void> {
    const device = attachLoopDevice(this.#file);
    this.#mounted = [device, mountDevice(device.path, this.#path)];
    runTool('mount', ['-o', 'remount,commit=3600', this.#path]);
    // The sessions on the new host have mounts of their own.
    await this.#hosts.runInNew('mount', device.path, this.#path);
  }

  async #detach(): Promise<void> {
    await this.#hosts.runInNew('umount', '--lazy', this.#path);
    for (const one of this.#mounted.toReversed()) one[Symbol.dispose]();
    this.#mounted = [];
  }

  /** No process of the host may run any more. */
  async cut(): Promise<void> {
    const survivor = join(this.#scratch.path, `after-${++this.#cuts}.img`);
    copyFileSync(this.#file, survivor, constants.COPYFILE_FICLONE);
    await this.#detach();
    this.#file = survivor;
    await this.#attach();
  }

  async end(): Promise<void> {
    await this.#detach();
    this.#scratch[Symbol.dispose]();
  }
}

/** The plug of one of two hosts. */
export interface Plug {
  /**
   * Ends the host's guests, receivers and connections, and takes away all that was not synced of its records, and of the images on the new
   * host. The power is back when it returns.
   */
  pull(): Promise<void>;
}

/** To be called before anything is on the host. */
export async function plugOf(hosts: TwoHosts, host: 'old' | 'new'): Promise<Plug> {
  const { stateDir, images, umlDir } = hosts[host];
  const directories = [await FragileDirectory.mount(stateDir, hosts)];
  if (host === 'new') directories.push(await FragileDirectory.mount(images, hosts));
  hosts.defer(async () => {
    for (const pid of umlProcessesOf(null, umlDir)) await killTree(pid);
    for (const directory of directories) await directory.end();
  });
  return {
    async pull() {
      await hosts.lab.cut();
      const receivers = host === 'new' ? await receiversOf(hosts) : [];
      for (const pid of [...receivers, ...umlProcessesOf(null, umlDir)]) await killTree(pid);
      for (const directory of directories) await directory.cut();
      await hosts.lab.mend();
      // A host that has started again knows nothing of its connections.
      await hosts.lab.reset();
    },
  };
}
