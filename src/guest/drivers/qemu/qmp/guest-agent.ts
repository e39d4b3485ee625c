import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { LineSocket, SocketError } from './line-socket.ts';
import { asObject, parseObject } from './qmp.ts';

/** A guest that has no agent running never answers. */
const syncTimeoutMs = 3_000;

export class AgentError extends Error {}

/** The agent in the guest (qemu-ga), over the socket of its channel. */
export class GuestAgent implements Disposable {
  readonly #lines: string[] = [];
  #onChange: () => void = () => {};
  #socket: LineSocket | null = null;

  private constructor() {}

  /** Null when nothing in the guest answers, or another program talks to it. */
  static async connect(path: string): Promise<GuestAgent | null> {
    const agent = new GuestAgent();
    try {
      agent.#socket = await LineSocket.open(
        path,
        syncTimeoutMs,
        (line) => {
          agent.#lines.push(line);
          agent.#onChange();
        },
        () => agent.#onChange(),
      );
    } catch (error) {
      if (error instanceof SocketError) return null;
      throw error;
    }
    if (await agent.#synchronize()) return agent;
    agent[Symbol.dispose]();
    return null;
  }

  /**
   * Somebody before us may have left half a command there, or an answer unread. 0xFF ends the one: the agent may answer
   * it with an error. What comes before our own number is of the other.
   */
  async #synchronize(): Promise<boolean> {
    const id = Math.floor(Math.random() * 2 ** 31);
    this.#socket?.send(Buffer.from([0xff]));
    this.#send('guest-sync-delimited', { id });
    const deadlineMs = performance.now() + syncTimeoutMs;
    for (;;) {
      const line = await this.#nextLine(deadlineMs - performance.now());
      if (line === null) return false;
      if (parseObject(line)?.['return'] === id) return true;
    }
  }

  /** What the command returns. Throws AgentError when the agent refuses it, or does not answer in time. */
  async execute(command: string, args: object, timeoutMs: number): Promise<unknown> {
    this.#send(command, args);
    const line = await this.#nextLine(timeoutMs);
    const answer = line === null ? null : parseObject(line);
    if (answer === null) {
      // A late answer must not be taken for that of the next command.
      this[Symbol.dispose]();
      throw new AgentError(`its agent did not answer ${command}`);
    }
    const error = asObject(answer['error']);
    if (error !== null)
      throw new AgentError(`its agent refused ${command}: ${String(error['desc']).slice(0, 300)}`);
    return answer['return'];
  }

  /** For a command that is only answered when it fails: what the agent says then, or null when it says nothing in time. */
  async refusalOf(command: string, args: object, timeoutMs: number): Promise<string | null> {
    this.#send(command, args);
    const line = await this.#nextLine(timeoutMs);
    const error = line === null ? null : asObject(parseObject(line)?.['error']);
    return error === null ? null : `its agent refused ${command}: ${String(error['desc']).slice(0, 300)}`;
  }

  /** For a command whose outcome does not matter any more. */
  send(command: string, args: object = {}): void {
    this.#send(command, args);
  }

  #send(command: string, args: object): void {
    this.#socket?.send(`${JSON.stringify({ execute: command, arguments: args })}\n`);
  }

  /** Null when none comes in time. */
  async #nextLine(timeoutMs: number): Promise<string | null> {
    const limit = new AbortController();
    const timeUp = delay(Math.max(timeoutMs, 0), 'time is up' as const, { signal: limit.signal }).catch(
      () => null,
    );
    try {
      for (;;) {
        const line = this.#lines.shift();
        if (line !== undefined) return line;
        if (this.#socket?.ending !== null) return null;
        const changed = new Promise<null>((resolve) => (this.#onChange = () => resolve(null)));
        if ((await Promise.race([changed, timeUp])) !== null) return null;
      }
    } finally {
      limit.abort();
    }
  }

  [Symbol.dispose](): void {
    this.#socket?.close();
  }
}
