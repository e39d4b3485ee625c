import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { Context } from '../../../events.ts';
import { asFailure, combineFailures, Failure } from '../../../failure.ts';
import { command, here, placed } from '../../../placed-text.ts';
import { poll } from '../../../pipeline/polling.ts';
import type { DetachedProcess } from '../../../system/detached-process.ts';
import { makeDirectories } from '../../../system/make-directories.ts';
import { readProcess, signalProcess } from '../../../system/proc-process.ts';
import type { GuestDefinition } from '../../definition.ts';
import type { RunningGuest, StartOptions } from '../../guest-driver.ts';
import { consoleExcerpt } from '../console-excerpt.ts';
import { makeConsoleDirectory, startProcess } from '../start-process.ts';
import { accelerated, detachable } from './launch/accelerate.ts';
import type { QemuCommand } from './arguments/replace.ts';
import { bootProgress } from './launch/boot-progress.ts';
import { checkQemu } from './check.ts';
import { findQemuGuests } from './find.ts';
import { runtimeDirectory, type QemuHost } from './launch/host.ts';
import { agentArguments, monitorArguments, withAgentSocket } from './running/own-sockets.ts';
import type { Accelerator } from './launch/probe.ts';
import { Qmp, QmpError } from './qmp/qmp.ts';

const intervalMs = 100;
const killTimeoutMs = 10_000;

/**
 * Boots the guest detached, and returns when it is up (see `bootProgress`). Throws Failure `start-failed`, or the failures
 * of `checkQemu`; then its process is gone.
 */
export async function startQemu(
  definition: GuestDefinition,
  options: StartOptions,
  host: QemuHost,
  accelerator: (program: string) => Promise<Accelerator | Failure>,
  context: Context,
): Promise<RunningGuest> {
  const { command: found, problems } = await checkQemu(definition, host, context.signal);
  problems.push(...missingDisks(definition));
  const [problem, ...others] = problems;
  if (problem !== undefined) throw combineFailures([problem, ...others]);
  const { program, args } = found ?? { program: '', args: [] };
  const by = await accelerator(program);
  if (by instanceof Failure) throw by;
  context.signal.throwIfAborted();
  return boot({ program, args: accelerated(detachable(args), by) }, definition, options, host, context);
}

function missingDisks({ disks }: GuestDefinition): Failure[] {
  return disks
    .filter(({ path }) => !existsSync(path))
    .map(({ path }) => new Failure('image-missing', placed`The guest's disk ${path} is not ${here}.`));
}

async function boot(
  { program, args }: QemuCommand,
  definition: GuestDefinition,
  options: StartOptions,
  host: QemuHost,
  context: Context,
): Promise<RunningGuest> {
  const directory = runtimeDirectory(host, definition.name);
  const socket = join(directory, 'qmp');
  const { consoleLog } = options;
  await makeConsoleDirectory(definition.name, consoleLog);
  rmSync(directory, { recursive: true, force: true });
  await makeDirectories(directory, 0o700);
  const logStartBytes = existsSync(consoleLog) ? statSync(consoleLog).size : 0;
  const agentSocket = join(directory, 'agent');
  // What vmferry did not write stays as it is.
  const isOurs = definition.native === undefined && definition.machineType !== 'microvm';
  const whole = [
    ...withAgentSocket(args, agentSocket),
    ...(isOurs ? agentArguments(agentSocket) : []),
    ...monitorArguments(socket),
  ];
  const started = await startProcess(definition.name, {
    program,
    args: whole,
    consoleLog,
    environment: host.environment,
  });
  try {
    return await waitUntilUp(started, socket, logStartBytes, definition, options, host, context);
  } catch (error) {
    await end(started, error);
    rmSync(directory, { recursive: true, force: true });
    const failure = asFailure(error);
    if (failure.code !== 'start-failed') throw error;
    throw withConsole(failure, consoleLog, logStartBytes);
  }
}

async function waitUntilUp(
  started: DetachedProcess,
  socket: string,
  logStartBytes: number,
  definition: GuestDefinition,
  options: StartOptions,
  host: QemuHost,
  { signal }: Context,
): Promise<RunningGuest> {
  const { name } = definition;
  const deadlineMs = performance.now() + options.timeoutMs;
  const leftMs = (): number => Math.max(deadlineMs - performance.now(), 0);
  const throwIfEnded = (): void => {
    const ending = started.ended();
    if (ending !== null)
      throw new Failure('start-failed', `The guest ${name} ${ending} while it was starting.`);
    // A guest that has panicked may stay as it is, for ever.
    if (readFileSync(options.consoleLog).includes('Kernel panic - not syncing', logStartBytes))
      throw new Failure('start-failed', `The kernel of ${name} panicked while it was starting.`);
  };
  const connected = await poll(
    () => {
      throwIfEnded();
      return existsSync(socket) ? connectOrNull(socket) : null;
    },
    { timeoutMs: leftMs(), intervalMs, signal },
  );
  if (connected !== null) {
    using qmp = connected;
    const progress = bootProgress(qmp, definition);
    const guest = await poll(
      async () => {
        throwIfEnded();
        const problem = await orWhenEnded(progress.look(), throwIfEnded);
        if (typeof problem === 'string') throw new Failure('start-failed', `The guest ${name} ${problem}.`);
        return problem
          ? (findQemuGuests(host).find(({ identity }) => identity.pid === started.pid) ?? null)
          : null;
      },
      { timeoutMs: leftMs(), intervalMs, signal },
    );
    if (guest !== null) return guest;
  }
  throwIfEnded();
  const seconds = Math.round(options.timeoutMs / 1000);
  throw new Failure('start-failed', `The guest ${name} was not up within ${seconds} s and was ended.`);
}

async function connectOrNull(socket: string): Promise<Qmp | null> {
  try {
    return await Qmp.connect(socket);
  } catch (error) {
    if (error instanceof QmpError) return null;
    throw error;
  }
}

/** The connection breaks when QEMU ends: then its end is the reason. */
async function orWhenEnded<Result>(work: Promise<Result>, throwIfEnded: () => void): Promise<Result | false> {
  try {
    return await work;
  } catch (error) {
    throwIfEnded();
    if (error instanceof QmpError) return false;
    throw error;
  }
}

/** Never aborted: nothing of the guest may be left. */
async function end({ pid }: DetachedProcess, cause: unknown): Promise<void> {
  const { signal } = new AbortController();
  const gone = await poll(
    () => {
      if (readProcess(pid) === null) return true;
      signalProcess(pid, 'SIGKILL');
      return readProcess(pid) === null;
    },
    { timeoutMs: killTimeoutMs, intervalMs, signal },
  );
  if (gone !== null) return;
  throw new Failure(
    'outcome-unknown',
    placed`${asFailure(cause).placed.message} Its process ${pid} could not be ended.`,
    {
      advice: placed`Look at it with \`${command('ps', '-p', String(pid))}\`.`,
      cause,
    },
  );
}

function withConsole(failure: Failure, consoleLog: string, fromByte: number): Failure {
  const excerpt = consoleExcerpt(readFileSync(consoleLog).subarray(fromByte).toString('utf8'));
  const shown = excerpt === '' ? ' Its console shows nothing.' : ` Its console shows:\n${excerpt}`;
  return new Failure('start-failed', placed`${failure.placed.message}${shown}`, {
    advice: placed`The whole console is in ${consoleLog} ${here}.`,
    cause: failure,
  });
}
