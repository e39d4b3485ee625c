import { spawn, type ChildProcess } from 'node:child_process';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { withResolvers } from '../../../src/pipeline/with-resolvers.ts';
import { GUEST_PORT } from '../../support/guests/uml-guest.ts';
import { GUEST_ADDRESS } from '../../support/ssh/shared-network.ts';
import type { TwoHosts } from '../../support/ssh/two-hosts.ts';

/** A client: asks four times a second, waits 2 s for each answer, and prints a line for it. */
const client = `
const net = require('node:net');
setInterval(() => {
  const socket = net.connect(${GUEST_PORT}, '${GUEST_ADDRESS}');
  const timer = setTimeout(() => socket.destroy(), 2000);
  socket.once('data', () => { console.log('answer'); socket.destroy(); });
  socket.once('error', () => {}).once('close', () => clearTimeout(timer));
}, 250);
`;

/** Notes the longest time in which a client on the old host got no answer from the guest, wherever it runs. */
export class AnswerWatch implements Disposable {
  readonly #client: ChildProcess;
  readonly #answered = withResolvers<void>();
  #lastMs: number | null = null;
  #longestGapMs = 0;

  constructor({ lab }: TwoHosts) {
    const [command, ...args] = [...lab.prefix('old'), process.execPath, '-e', client];
    this.#client = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    if (this.#client.stdout !== null) createInterface(this.#client.stdout).on('line', () => this.#note());
  }

  /** Resolves when the guest has answered for the first time. */
  answered(): Promise<void> {
    return this.#answered.promise;
  }

  #note(): void {
    const nowMs = performance.now();
    if (this.#lastMs !== null) this.#longestGapMs = Math.max(this.#longestGapMs, nowMs - this.#lastMs);
    this.#lastMs = nowMs;
    this.#answered.resolve();
  }

  /** The longest so far, the one that still lasts included. */
  get longestGapMs(): number {
    return Math.max(this.#longestGapMs, this.#lastMs === null ? 0 : performance.now() - this.#lastMs);
  }

  [Symbol.dispose](): void {
    this.#client.kill();
  }
}
