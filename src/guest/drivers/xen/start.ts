import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Context } from '../../../events.ts';
import { asFailure, combineFailures, Failure } from '../../../failure.ts';
import { command, here, placed } from '../../../placed-text.ts';
import { poll } from '../../../pipeline/polling.ts';
import { makeDirectories } from '../../../system/make-directories.ts';
import { notKept } from '../../../system/state-file.ts';
import type { GuestDefinition } from '../../definition.ts';
import type { RunningGuest, StartOptions } from '../../guest-driver.ts';
import { consoleExcerpt } from '../console-excerpt.ts';
import { checkXenBootable } from './check.ts';
import { completeXen } from './complete.ts';
import { ConsoleTail, consoleLogOf } from './host/console-tail.ts';
import { servedDisks } from './host/devices.ts';
import { domidOf, stateOf, type Domain } from './host/domains.ts';
import { findXenGuest, startedFile } from './find.ts';
import { destroyDomain } from './halt.ts';
import type { XenHost } from './host/host.ts';
import { writeXenText } from './config/whole-text.ts';
import { findConfigFile } from './places/config-files.ts';
import { writeXenFile } from './places/write-file.ts';
import { complaintOf, xl } from './host/xl.ts';

const intervalMs = 500;
/**
 * A guest that is seen waiting so often, one time after the other, waits for something to do. A kernel that boots waits for moments
 * only.
 */
const idleLooks = 4;
/**
 * A guest whose programs keep it busy counts as up after so many seconds of processor time. A kernel that cannot go on has crashed
 * by then.
 */
const busySeconds = 60;
/** What a guest prints when somebody can log in, or when it has a shell. */
const prompt = /^\S+ login:|[#$>] ?$/m;
/** The shells for repairs of Debian's initial RAM disk, of sysvinit and of systemd. */
const stuck = /^\(initramfs\)|Give root password for maintenance|You are in emergency mode/m;

/**
 * Starts a guest with `xl create`, and returns when it is up: its kernel has connected to its disks, and it either shows a prompt,
 * or waits for something to do, or is busy for a minute of processor time without crashing. A kernel of a guest of Xen that panics ends its domain. Throws
 * Failure `start-failed`, or what `checkXenBootable` finds; then no domain of it is left.
 */
export async function startXen(
  definition: GuestDefinition,
  options: StartOptions,
  host: XenHost,
  context: Context,
): Promise<RunningGuest> {
  // The check before has told of it.
  const whole = await completeXen(definition, host, { report: () => undefined });
  const problems = [...(await checkXenBootable(whole, host, context, true)), ...missingDisks(whole)];
  const [problem, ...others] = problems;
  if (problem !== undefined) throw combineFailures([problem, ...others]);
  await makeDirectories(dirname(options.consoleLog), 0o700).catch((error: unknown) => {
    throw notKept(`The console of ${whole.name}`, dirname(options.consoleLog), error);
  });
  context.signal.throwIfAborted();
  using tail = new ConsoleTail(host, whole.name, options.consoleLog);
  try {
    await create(whole, host);
    return await waitUntilUp(whole, options, host, context, tail);
  } catch (error) {
    await end(whole.name, host, error);
    throw explained(error, tail, options, host, whole.name);
  }
}

function missingDisks({ disks }: GuestDefinition): Failure[] {
  return disks
    .filter(({ path }) => !existsSync(path))
    .map(({ path }) => new Failure('image-missing', placed`The guest's disk ${path} is not ${here}.`));
}

/** From the guest's own file if it says the same, so that people find it in `xl list -l` and in the logs; else from a file of ours. */
async function create(definition: GuestDefinition, host: XenHost): Promise<void> {
  const { name } = definition;
  const text = writeXenText(definition);
  const known = findConfigFile(host, name);
  const path = known?.text === text ? known.path : startedFile(host, name);
  if (known?.text !== text) await writeXenFile(path, text);
  // Never aborted: a domain that is half made would stay.
  const result = await xl(host, ['create', '-q', path], new AbortController().signal, 600_000);
  if (result.exitStatus !== 0)
    throw new Failure(
      'start-failed',
      `The domain of ${name} could not be created by xl: ${complaintOf(result)}.`,
    );
}

async function waitUntilUp(
  { name }: GuestDefinition,
  { timeoutMs }: StartOptions,
  host: XenHost,
  context: Context,
  tail: ConsoleTail,
): Promise<RunningGuest> {
  const domid = await domidOf(host, name, context.signal);
  if (domid === null) throw ended(name);
  let secondsAtConnection: number | null = null;
  let waitingLooks = 0;
  const isUp = await poll(
    async () => {
      const { state, cpuSeconds } = await look(host, domid, name, tail, context.signal);
      if (secondsAtConnection === null && !servedDisks(domid).some((disk) => disk.isConnected)) return false;
      secondsAtConnection ??= cpuSeconds;
      if (prompt.test(consoleExcerpt(tail.text).split('\n').at(-1) ?? '')) return true;
      waitingLooks = state.includes('b') ? waitingLooks + 1 : 0;
      return waitingLooks >= idleLooks || cpuSeconds - secondsAtConnection > busySeconds;
    },
    { timeoutMs, intervalMs, signal: context.signal },
  );
  if (isUp !== null && stuck.test(tail.text))
    throw new Failure('start-failed', `The guest ${name} stopped before its root file system was in use.`);
  const guest = isUp === null ? null : await findXenGuest(host, name, context);
  if (guest !== null) return guest;
  if (isUp !== null) throw ended(name);
  const seconds = Math.round(timeoutMs / 1000);
  throw new Failure('start-failed', `The guest ${name} was not up within ${seconds} s and was ended.`);
}

/** The domain, as `xl list` shows it. Throws Failure `start-failed` when the domain has ended. */
async function look(
  host: XenHost,
  domid: number,
  name: string,
  tail: ConsoleTail,
  signal: AbortSignal,
): Promise<Pick<Domain, 'state' | 'cpuSeconds'>> {
  await tail.read(host, domid);
  const domain = await stateOf(host, domid, signal);
  if (domain === null || /[scd]/.test(domain.state)) throw ended(name);
  return domain;
}

function ended(name: string): Failure {
  return new Failure('start-failed', `The guest ${name} ended while it was starting.`);
}

/** Ends what is left of a guest that did not start. With on_crash = "restart" a new domain follows the old one. */
async function end(name: string, host: XenHost, cause: unknown): Promise<void> {
  const { signal } = new AbortController();
  const failure = asFailure(cause);
  const gone = await poll(
    async () => {
      const domid = await domidOf(host, name, signal);
      if (domid === null) return true;
      await destroyDomain(host, domid, name, failure);
      return false;
    },
    { timeoutMs: 120_000, intervalMs, signal },
  );
  if (gone !== null) return;
  throw new Failure('outcome-unknown', placed`${failure.placed.message} Its domain could not be ended.`, {
    advice: placed`Look at it with \`${command('xl', 'list')}\`.`,
    cause,
  });
}

function explained(
  error: unknown,
  { text }: ConsoleTail,
  { consoleLog }: StartOptions,
  host: XenHost,
  name: string,
): unknown {
  const failure = asFailure(error);
  if (failure.code !== 'start-failed') return error;
  const excerpt = consoleExcerpt(text);
  const shown = excerpt === '' ? ' Its console shows nothing.' : ` Its console shows:\n${excerpt}`;
  const { message } = failure.placed;
  return new Failure('start-failed', placed`${message}${shown}`, {
    advice: placed`The console is in ${consoleLog} ${here}, and in ${consoleLogOf(host, name)} if xenconsoled keeps logs. Xen's own logs are in /var/log/xen.`,
    cause: failure,
  });
}
