import { performance } from 'node:perf_hooks';
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import type { Context } from '../../../events.ts';
import { asFailure, combineFailures, Failure } from '../../../failure.ts';
import { command, here, placed } from '../../../placed-text.ts';
import type { DetachedProcess } from '../../../system/detached-process.ts';
import { consoleExcerpt } from '../console-excerpt.ts';
import type { GuestDefinition } from '../../definition.ts';
import type { RunningGuest, StartOptions } from '../../guest-driver.ts';
import { makeConsoleDirectory, startProcess } from '../start-process.ts';
import { Mconsole } from './mconsole/mconsole.ts';
import { pause, poll } from '../../../pipeline/polling.ts';
import { checkUmlBootable } from './check.ts';
import { umlCommandLine } from './command-line.ts';
import { listUmids, readPidFile, removeUmidDirectory, socketPath, type UmlHost } from './host.ts';
import { findUmlGuest } from './find.ts';
import { endSession, isInSession } from './session.ts';

const intervalMs = 50;
/** A first program that ends at once has ended by then, and the kernel with it. */
const settleMs = 500;
const settleIntervalMs = 100;
/** No kernel with this much memory was seen to fail for lack of memory. */
const AMPLE_MEMORY_BYTES = 96 * 2 ** 20;

/**
 * Boots the guest and returns when it is up: its console answers, the process behind it is ours, and its first program
 * runs. A kernel with little memory sometimes cannot create the threads of its self-tests of cryptography, then none for
 * the journal of its root file system, and panics. (Debian's 6.1 from a disk: 4 of 40 boots with 40 MiB, 2 of 60 with
 * 48 MiB, 5 of 2,100 with 64 MiB, none of 400 with 96 MiB.) The next boot succeeds, so it is started a second time, with
 * a warning. Throws Failure `start-failed`, or the failures of `checkUmlBootable`; then no process of it is left.
 */
export async function startUml(
  definition: GuestDefinition,
  options: StartOptions,
  host: UmlHost,
  context: Context,
): Promise<RunningGuest> {
  const { kernel, problems } = checkUmlBootable(definition, host);
  problems.push(...missingDisks(definition));
  const [problem, ...others] = problems;
  if (problem !== undefined) throw combineFailures([problem, ...others]);
  context.signal.throwIfAborted();

  const deadline = performance.now() + options.timeoutMs;
  const first = await boot(kernel ?? '', definition, options, host, context);
  if (!(first instanceof Failure)) return first;
  const timeoutMs = deadline - performance.now();
  if (timeoutMs <= 0) throw first;
  const message = `${definition.name} ended while it was starting, and is started again. Its console shows why: ${options.consoleLog}.${littleMemory(definition)}`;
  context.report({ type: 'warning', code: 'guest-started-twice', message });
  const second = await boot(kernel ?? '', definition, { ...options, timeoutMs }, host, context);
  if (second instanceof Failure) throw second;
  return second;
}

/** A sentence about the guest's memory if too little of it may be the reason; otherwise empty. */
function littleMemory({ memoryBytes }: GuestDefinition): string {
  if (memoryBytes === null || memoryBytes >= AMPLE_MEMORY_BYTES) return '';
  const mebibytes = (bytes: number): string => `${Math.floor(bytes / 2 ** 20)} MiB`;
  return ` It has ${mebibytes(memoryBytes)} of memory; a User Mode Linux kernel with less than ${mebibytes(AMPLE_MEMORY_BYTES)} sometimes does not start.`;
}

/** The guest when it is up; Failure `start-failed` if it ended by itself. Throws all other failures. */
async function boot(
  kernel: string,
  definition: GuestDefinition,
  options: StartOptions,
  host: UmlHost,
  context: Context,
): Promise<RunningGuest | Failure> {
  mkdirSync(host.directory, { recursive: true });
  removeUmidDirectory(host, definition.name);
  const { consoleLog } = options;
  await makeConsoleDirectory(definition.name, consoleLog);
  const logStartBytes = existsSync(consoleLog) ? statSync(consoleLog).size : 0;
  const started = await startProcess(definition.name, {
    program: kernel,
    args: [...umlCommandLine(definition), ...(host.directoryIsChosen ? [`uml_dir=${host.directory}`] : [])],
    consoleLog,
    environment: host.environment,
  });
  try {
    return await waitUntilUp(started, definition, options, host, context);
  } catch (error) {
    const endedByItself = started.ended() !== null;
    const left = await endSession(started.pid, host);
    const failure = asFailure(error);
    if (left > 0)
      throw new Failure(
        'outcome-unknown',
        placed`${failure.placed.message} It could not be ended: ${left} of its processes are left.`,
        {
          advice: placed`Look at them with \`${command('ps', '-s', String(started.pid))}\`.`,
          cause: error,
        },
      );
    if (failure.code !== 'start-failed') throw error;
    const explained = withConsole(failure, options.consoleLog, logStartBytes);
    if (endedByItself) return explained;
    throw explained;
  }
}

function missingDisks(definition: GuestDefinition): Failure[] {
  return definition.disks
    .filter(({ path }) => !existsSync(path))
    .map(({ path }) => new Failure('image-missing', placed`The guest's disk ${path} is not ${here}.`));
}

async function waitUntilUp(
  started: DetachedProcess,
  definition: GuestDefinition,
  options: StartOptions,
  host: UmlHost,
  { signal }: Context,
): Promise<RunningGuest> {
  const { name } = definition;
  const mconsole = new Mconsole(socketPath(host, name), host.environment, signal);
  const guest = await poll(
    async () => {
      throwIfEnded(started, name);
      if (!isInSession(readPidFile(host, name), started.pid)) {
        throwIfNamedOtherwise(started, name, host);
        return null;
      }
      const bootId = await mconsole.bootId();
      if (bootId === null || !(await keepsRunningPrograms(mconsole, started, name, signal))) return null;
      return (await mconsole.bootId()) === bootId ? findUmlGuest(host, name) : null;
    },
    { timeoutMs: options.timeoutMs, intervalMs, signal },
  );
  if (guest !== null) return guest;
  const seconds = Math.round(options.timeoutMs / 1000);
  throw new Failure('start-failed', `The guest ${name} was not up within ${seconds} s and was ended.`);
}

/**
 * Whether the guest's first program runs, and still does after a while. A program that runs has pages of its file mapped. A
 * kernel that finds no root file system or no first program never has any, however long it takes to panic. (Its anonymous
 * memory says less: a starting kernel tries to run helpers that are not there, and each has a stack for a moment.)
 */
async function keepsRunningPrograms(
  mconsole: Mconsole,
  started: DetachedProcess,
  name: string,
  signal: AbortSignal,
): Promise<boolean> {
  const sinceMs = performance.now();
  for (;;) {
    throwIfEnded(started, name);
    if (!(await hasMappedFiles(mconsole))) return false;
    if (performance.now() - sinceMs >= settleMs) return true;
    await pause(settleIntervalMs, signal);
  }
}

/** See proc_meminfo(5): `Mapped` is memory that programs have mapped from files. */
async function hasMappedFiles(mconsole: Mconsole): Promise<boolean> {
  return /^Mapped: +[1-9]/m.test((await mconsole.readProc('meminfo')) ?? '');
}

function throwIfEnded(started: DetachedProcess, name: string): void {
  const ending = started.ended();
  if (ending !== null)
    throw new Failure('start-failed', `The guest ${name} ${ending} while it was starting.`);
}

/** A kernel whose name is in use reports that only on its console, and continues under another name. */
function throwIfNamedOtherwise(started: DetachedProcess, name: string, host: UmlHost): void {
  const other = listUmids(host).find((umid) => isInSession(readPidFile(host, umid), started.pid));
  if (other === undefined || other === name) return;
  throw new Failure(
    'start-failed',
    `The name ${name} was taken, and the guest came up as ${other}; it was ended.`,
    {
      advice: placed`Look at ${host.directory}/${name} ${here}, and halt the guest with this name.`,
    },
  );
}

function withConsole(failure: Failure, consoleLog: string, fromByte: number): Failure {
  const excerpt = consoleExcerpt(readFileSync(consoleLog).subarray(fromByte).toString('utf8'));
  const shown = excerpt === '' ? ' Its console shows nothing.' : ` Its console shows:\n${excerpt}`;
  const { message, advice } = failure.placed;
  const whole = placed`The whole console is in ${consoleLog} ${here}.`;
  return new Failure('start-failed', placed`${message}${shown}`, {
    advice: advice === undefined ? whole : placed`${advice} ${whole}`,
    cause: failure,
  });
}
