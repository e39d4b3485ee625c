import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ImageFormat } from '../../../src/image/formats/image-format.ts';
import { Qmp, QmpError } from '../../../src/guest/drivers/qemu/qmp/qmp.ts';

const BLOCK = 4096;
const STEP_MS = 50;
const START_LIMIT_MS = 120_000;
/**
 * The device of the one disk that an idle QEMU has. With a container it is one whose write cache is on before an operating system says so:
 * QEMU then keeps the container's tables in memory.
 */
const deviceOf = (format: ImageFormat) =>
  format === 'raw'
    ? { driver: 'virtio-blk-pci', path: '/machine/peripheral/d0/virtio-backend' }
    : { driver: 'ide-hd', path: '/machine/peripheral/d0' };

/** A QEMU that runs its firmware and finds nothing to boot: a test writes to its disk in the guest's stead, through the guest's device. */
export class IdleQemu implements AsyncDisposable {
  readonly #end: () => Promise<void>;
  readonly #socket: string;
  readonly #image: string;

  /** Its end. */
  readonly exited: Promise<unknown>;

  readonly #device: string;

  private constructor(
    image: string,
    device: string,
    socket: string,
    exited: Promise<unknown>,
    end: () => Promise<void>,
  ) {
    this.#image = image;
    this.#device = device;
    this.exited = exited;
    this.#socket = socket;
    this.#end = end;
  }

  static async start(
    name: string,
    image: string,
    env: NodeJS.ProcessEnv,
    format: ImageFormat = 'raw',
    /** Whether its arguments name the image by a path that begins in its working directory. */
    isRelative = false,
  ): Promise<IdleQemu> {
    const socket = `${image}.qmp`;
    const device = deviceOf(format);
    const disk = `driver=${format},node-name=disk0,discard=unmap,file.driver=file,file.discard=unmap,file.filename=${isRelative ? basename(image) : image}`;
    const args = [
      '-name',
      name,
      '-M',
      'pc',
      '-m',
      '32',
      '-display',
      'none',
      '-nodefaults',
      '-no-user-config',
      // By which a guest tells that it has panicked.
      '-device',
      'pvpanic',
    ];
    args.push(
      '-qmp',
      `unix:${socket},server=on,wait=off`,
      '-blockdev',
      disk,
      '-device',
      `${device.driver},drive=disk0,id=d0`,
    );
    const child = spawn('qemu-system-x86_64', args, {
      env,
      cwd: dirname(image),
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const exited = once(child, 'exit');
    const qemu = new IdleQemu(image, device.path, socket, exited, async () => {
      child.kill('SIGKILL');
      await exited;
    });
    for (let waited = 0; ; waited += STEP_MS)
      try {
        await qemu.execute('query-status');
        return qemu;
      } catch (error) {
        if (!(error instanceof QmpError) || waited > START_LIMIT_MS) throw error;
        await delay(STEP_MS);
      }
  }

  async execute(command: string, args: object = {}): Promise<unknown> {
    using qmp = await Qmp.connect(this.#socket);
    return await qmp.execute(command, args);
  }

  /** Its guest turns itself off. QEMU then does what it was told to do. */
  async turnOff(): Promise<void> {
    await this.execute('set-action', { reboot: 'shutdown' });
    await this.execute('system_reset');
  }

  /** For a raw image. Writes the bytes that differ, in whole blocks of 4 KiB, so that the disk is equal to the other image. */
  async writeLike(other: string): Promise<void> {
    const [now, wanted] = [readFileSync(this.#image), readFileSync(other)];
    const differs = (at: number) => !now.subarray(at, at + BLOCK).equals(wanted.subarray(at, at + BLOCK));
    for (let from = 0; from < wanted.length; from += BLOCK) {
      if (!differs(from)) continue;
      let to = from;
      while (to < wanted.length && differs(to)) to += BLOCK;
      const end = Math.min(to, wanted.length);
      writeFileSync(`${other}.piece`, wanted.subarray(from, end));
      await this.io(`write -s ${other}.piece ${from} ${end - from}`);
      from = to;
    }
    if (!readFileSync(this.#image).equals(wanted)) throw new Error('QEMU has written something else');
  }

  /** A command of qemu-io(1). */
  async io(command: string): Promise<void> {
    const answer = await this.execute('human-monitor-command', {
      'command-line': `qemu-io -d ${this.#device} "${command}"`,
    });
    if (answer !== '') throw new Error(`${command}: ${String(answer)}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
  }
}
