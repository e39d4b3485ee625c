import { get as getHttp } from 'node:http';
import { get as getHttps } from 'node:https';
import { connect } from 'node:net';
import process from 'node:process';
import type { Duplex } from 'node:stream';
import { errorCode, errorMessage } from '../../../system/error-code.ts';
import { UnreachableFromThere } from '../../../ssh/connect-from.ts';
import { run } from '../../../system/processes.ts';
import { greetingOf, type Answer } from './answer.ts';
import type { Probe, TcpProbe } from './probe.ts';

/** How long one question may take, in milliseconds. */
export interface AskLimits {
  connectMs: number;
  /** How long a service may take to introduce itself. Many never do. */
  greetingMs: number;
  httpMs: number;
  commandMs: number;
}

export const ASK_LIMITS: AskLimits = {
  connectMs: 3_000,
  greetingMs: 1_500,
  httpMs: 10_000,
  commandMs: 30_000,
};

const MOST_GREETING_BYTES = 512;

/** Whom a probe is about. */
export interface ProbedGuest {
  name: string;
  address: string | null;
  /** Whether it is asked before the halt or after the boot: in the environment of a command. */
  phase: 'before' | 'after';
}

/** Opens a TCP connection; from another machine, if it is not `dialHere`. Rejects with the system's error. */
export type Dial = (to: { host: string; port: number }, signal: AbortSignal) => Promise<Duplex>;

const dialHere: Dial = (to, signal) =>
  new Promise((resolve, reject) => {
    const socket = connect(to);
    const stop = () => socket.destroy(new Error('not connected in time'));
    signal.addEventListener('abort', stop, { once: true });
    socket.once('error', reject).once('connect', () => {
      // From now on the signal, which has the limit of the connection, does not count.
      signal.removeEventListener('abort', stop);
      socket.off('error', reject);
      resolve(socket);
    });
  });

/** Asks once. Never throws, except for the signal's reason when aborted. */
export async function askProbe(
  probe: Probe,
  guest: ProbedGuest,
  signal: AbortSignal,
  limits: AskLimits = ASK_LIMITS,
): Promise<Answer> {
  signal.throwIfAborted();
  const answer = await askOnce(probe, guest, signal, limits);
  signal.throwIfAborted();
  return answer;
}

function askOnce(probe: Probe, guest: ProbedGuest, signal: AbortSignal, limits: AskLimits): Promise<Answer> {
  switch (probe.kind) {
    case 'tcp':
      return askTcp(addressOf(probe, guest), dialHere, signal, limits);
    case 'http':
      return askHttp(probe.url, signal, limits);
    case 'exec':
      return askCommand(probe.command, guest, signal, limits);
  }
}

function addressOf({ host, port }: TcpProbe, guest: ProbedGuest): { host: string; port: number } {
  return { host: host ?? guest.address ?? '', port };
}

/**
 * Asks a port from another machine. Null if that machine could not be asked. Never throws, except for the signal's reason when aborted.
 */
export async function askFrom(
  dial: Dial,
  probe: TcpProbe,
  guest: ProbedGuest,
  signal: AbortSignal,
  limits: AskLimits = ASK_LIMITS,
): Promise<Answer | null> {
  let wasAsked = true;
  const noting: Dial = async (...args) => {
    try {
      return await dial(...args);
    } catch (error) {
      wasAsked = args[1].aborted || error instanceof UnreachableFromThere;
      throw error;
    }
  };
  const answer = await askTcp(addressOf(probe, guest), noting, signal, limits);
  signal.throwIfAborted();
  return wasAsked ? answer : null;
}

async function askTcp(
  to: { host: string; port: number },
  dial: Dial,
  signal: AbortSignal,
  { connectMs, greetingMs }: AskLimits,
): Promise<Answer> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(connectMs)]);
  try {
    return await greetingFrom(await dial(to, limit), greetingMs, signal);
  } catch (error) {
    return limit.aborted ? silent(connectMs) : { answered: false, why: reasonOf(error) };
  }
}

function greetingFrom(stream: Duplex, greetingMs: number, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve) => {
    let received = Buffer.alloc(0);
    const stop = () => done({ answered: false, why: 'interrupted' });
    const done = (answer: Answer) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      stream.destroy();
      resolve(answer);
    };
    const greeted = () => done({ answered: true, way: 'open', greeting: greetingOf(received) });
    // Many services say nothing by themselves: that the port is open is then the answer.
    const timer = setTimeout(greeted, greetingMs);
    signal.addEventListener('abort', stop, { once: true });
    stream
      .on('data', (data: Buffer) => {
        received = Buffer.concat([received, data.subarray(0, MOST_GREETING_BYTES)]);
        if (received.length >= MOST_GREETING_BYTES || received.includes('\n')) greeted();
      })
      // What only passes connections on, such as a port that is forwarded, closes them if nothing is behind it.
      .on('end', () =>
        received.length > 0 ? greeted() : done({ answered: false, why: 'the connection was closed at once' }),
      )
      .on('error', (error) =>
        received.length > 0 ? greeted() : done({ answered: false, why: reasonOf(error) }),
      );
  });
}

function askHttp(url: string, signal: AbortSignal, { httpMs }: AskLimits): Promise<Answer> {
  return new Promise((resolve) => {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(httpMs)]);
    const get = new URL(url).protocol === 'https:' ? getHttps : getHttp;
    // A connection of its own: one that was kept open would have ended with the guest.
    const request = get(
      url,
      { agent: false, signal: limit, headers: { 'user-agent': 'vmferry' } },
      (response) => {
        const status = `status ${response.statusCode ?? 0}`;
        response.on('error', () => undefined).destroy();
        resolve({ answered: true, way: status, greeting: null });
      },
    );
    request.on('error', (error) =>
      resolve(limit.aborted ? silent(httpMs) : { answered: false, why: reasonOf(error) }),
    );
  });
}

/** The command gets what it needs in its environment. What it prints is dropped. */
async function askCommand(
  command: string,
  { name, address, phase }: ProbedGuest,
  signal: AbortSignal,
  { commandMs }: AskLimits,
): Promise<Answer> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(commandMs)]);
  const env = {
    ...process.env,
    VMFERRY_GUEST: name,
    VMFERRY_ADDRESS: address ?? '',
    VMFERRY_PHASE: phase,
  };
  try {
    const quiet = 'exec >/dev/null 2>&1; exec /bin/sh -c "$1"';
    const { exitStatus } = await run('/bin/sh', ['-c', quiet, 'vmferry-probe', command], {
      env,
      signal: limit,
    });
    if (exitStatus === 0) return { answered: true, way: 'exit status 0', greeting: null };
    return { answered: false, why: exitStatus === null ? 'ended by a signal' : `exit status ${exitStatus}` };
  } catch (error) {
    return limit.aborted ? silent(commandMs) : { answered: false, why: reasonOf(error) };
  }
}

function silent(limitMs: number): Answer {
  return { answered: false, why: `no answer within ${limitMs / 1000} s` };
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'the connection was reset',
  EHOSTUNREACH: 'no way to that address',
  ENETUNREACH: 'no way to that network',
  ENOTFOUND: 'the name is unknown',
  ETIMEDOUT: 'no answer',
};

/** The name of an error, never its text: that may hold what the other side sent. */
function reasonOf(error: unknown): string {
  const code = errorCode(error);
  return reasons[code] ?? (code === '' ? errorMessage(error).slice(0, 80) : code);
}
