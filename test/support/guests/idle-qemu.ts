import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Qmp, QmpError } from '../../../src/guest/drivers/qemu/qmp/qmp.ts';

const BLOCK = 4096;
const STEP_MS = 50;
const START_LIMIT_MS = 120_000;
/** Of the one disk that an idle QEMU has. */
const DEVICE = '/machine/peripheral/d0/virtio-backend';

/** A QEMU that runs its firmware and finds nothing to boot: a test writes to its disk in the guest's stead, through the guest's device. */
export class IdleQemu implements AsyncDisposable {
  readonly #end: () => Promise<void>;
  readonly #socket: string;
  readonly #image: string;

  private constructor(image: string, socket: string, end: () => Promise<void>) {
    this.#image = image;
    this.#socket = socket;
    this.#end = end;
  }

  /** @param image raw */
  static async start(name: string, image: string, env: NodeJS.ProcessEnv): Promise<IdleQemu> {
    const socket = `${image}.qmp`;
    const disk = `driver=raw,node-name=disk0,discard=unmap,file.driver=file,file.discard=unmap,file.filename=${image}`;
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
    ];
    args.push(
      '-qmp',
      `unix:${socket},server=on,wait=off`,
      '-blockdev',
      disk,
      '-device',
      'virtio-blk-pci,drive=disk0,id=d0',
    );
    const child = spawn('qemu-system-x86_64', args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
    const exited = once(child, 'exit');
    const qemu = new IdleQemu(image, socket, async () => {
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

  /** Writes the bytes that differ, in whole blocks of 4 KiB, so that the disk is equal to the other image. */
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
      'command-line': `qemu-io -d ${DEVICE} "${command}"`,
    });
    if (answer !== '') throw new Error(`${command}: ${String(answer)}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
  }
}
