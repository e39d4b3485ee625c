import { performance } from 'node:perf_hooks';
import { Failure } from '../../../../failure.ts';
import type { LastWill } from '../../../../system/last-will.ts';
import type { FreezeOptions } from '../../../guest-driver.ts';
import { writeGuestWill } from './guest-will.ts';
import { AgentError, GuestAgent } from '../qmp/guest-agent.ts';
import { QmpError } from '../qmp/qmp.ts';
import { runState, type QemuSession } from './session.ts';

const thawTimeoutMs = 20_000;

/**
 * A guest of QEMU that stands still: its agent has frozen its file systems, if it has one, and its processors are stopped.
 * It goes on when this is disposed of, and when this process dies.
 */
export class Standstill {
  readonly session: QemuSession;
  stoppedAt = new Date();
  /** As in `FrozenGuest`. */
  readonly notSynced: string | null;
  readonly #name: string;
  readonly #agent: GuestAgent | null;
  readonly #lastWill: LastWill;
  /** When its programs could write no more. */
  readonly #stoppedAtMs: number;
  #stoppedMs: number | null = null;

  private constructor(
    name: string,
    session: QemuSession,
    agent: GuestAgent | null,
    notSynced: string | null,
    lastWill: LastWill,
    stoppedAtMs: number,
  ) {
    this.#name = name;
    this.session = session;
    this.#agent = agent;
    this.notSynced = notSynced;
    this.#lastWill = lastWill;
    this.#stoppedAtMs = stoppedAtMs;
  }

  /** The session stays open in any case. Throws Failure `guest-unsupported`; the guest then runs on. */
  static async begin(
    name: string,
    session: QemuSession,
    { syncTimeoutMs }: FreezeOptions,
    env: NodeJS.ProcessEnv,
    signal: AbortSignal,
  ): Promise<Standstill> {
    try {
      const state = await runState(session.qmp);
      if (state !== 'running') throw cannotStop(name, `it is stopped already (${state}), by something else`);
      const agent = session.agentSocket === null ? null : await GuestAgent.connect(session.agentSocket);
      signal.throwIfAborted();
      const lastWill = await writeGuestWill(session.qmpSocket, session.agentSocket, env);
      const stoppedAtMs = performance.now();
      const notSynced = await freezeFileSystems(agent, syncTimeoutMs);
      const standstill = new Standstill(name, session, agent, notSynced, lastWill, stoppedAtMs);
      try {
        signal.throwIfAborted();
        await session.qmp.execute('stop');
        standstill.stoppedAt = new Date();
        return standstill;
      } catch (error) {
        await standstill.goOn();
        throw error;
      }
    } catch (error) {
      throw error instanceof QmpError ? cannotStop(name, error.message) : error;
    }
  }

  /**
   * Lets the guest go on; the session stays. Gives the milliseconds that it was stopped for. May be called again. Throws
   * Failure `guest-left-down` when QEMU does not answer.
   */
  async goOn(): Promise<number> {
    if (this.#stoppedMs !== null) return this.#stoppedMs;
    try {
      await this.session.qmp.execute('cont');
      if (this.#agent !== null && this.notSynced === null) await thaw(this.#agent);
    } catch (error) {
      if (!(error instanceof QmpError || error instanceof AgentError)) throw error;
      // The last will is not revoked: it tries once more when this process ends.
      throw new Failure(
        'guest-left-down',
        `The guest ${this.#name} was told to go on, and does not: ${error.message}.`,
        {
          advice:
            'It may still be stopped, or its file systems frozen. In its monitor: cont. To its agent: guest-fsfreeze-thaw.',
          cause: error,
        },
      );
    } finally {
      this.#agent?.[Symbol.dispose]();
    }
    this.#stoppedMs = performance.now() - this.#stoppedAtMs;
    await this.#lastWill.revoke();
    return this.#stoppedMs;
  }
}

/** Null when the guest has written out everything, and keeps its file systems as they are; otherwise why not. */
async function freezeFileSystems(agent: GuestAgent | null, timeoutMs: number): Promise<string | null> {
  if (agent === null) return 'no agent in it answers';
  try {
    await agent.execute('guest-fsfreeze-freeze', {}, timeoutMs);
    return null;
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    // Some of its file systems may be frozen.
    agent.send('guest-fsfreeze-thaw');
    return error.message;
  }
}

async function thaw(agent: GuestAgent): Promise<void> {
  await agent.execute('guest-fsfreeze-thaw', {}, thawTimeoutMs);
}

export function cannotStop(name: string, reason: string): Failure {
  return new Failure('guest-unsupported', `The guest ${name} cannot be frozen: ${reason}.`, {
    advice: 'Use --halt: the guest is then halted, backed up and started again.',
  });
}
