import { existsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Context } from '../../../events.ts';
import { asFailure, combineFailures, Failure } from '../../../failure.ts';
import { command, here, placed } from '../../../placed-text.ts';
import { poll } from '../../../pipeline/polling.ts';
import { makeDirectories } from '../../../system/make-directories.ts';
import { notKept } from '../../../system/state-file.ts';
import type { GuestDefinition } from '../../definition.ts';
import type { RunningGuest, StartOptions } from '../../guest-driver.ts';
import { checkDomain } from './check.ts';
import { withConsoleLog } from './domain/console-log.ts';
import type { DomainType } from './domain/write-domain.ts';
import { findRunningDomain } from './find.ts';
import { QemuProcesses, stateOf } from './identity.ts';
import { defineDomain } from './keep.ts';
import { readFrom, waitUntilUp } from './up.ts';
import type { Virsh } from './virsh.ts';

/** QEMU ends within this time when it is told to, or hangs in the host's kernel. */
const endTimeoutMs = 20_000;
const endIntervalMs = 100;
const CONSOLE_LINES = 8;

/**
 * Defines the domain, starts it with its console logged, and returns when it is up. The definition that libvirt keeps has no log: a
 * running domain may differ from it. Throws Failure `start-failed`, or what `checkDomain` finds; then it does not run, and is known
 * only if it was before.
 */
export async function startDomain(
  definition: GuestDefinition,
  options: StartOptions,
  type: DomainType,
  virsh: Virsh,
  context: Context,
): Promise<RunningGuest> {
  const problems = [...(await checkDomain(definition, virsh, context)), ...missingDisks(definition)];
  const [problem, ...others] = problems;
  if (problem !== undefined) throw combineFailures([problem, ...others]);
  await makeDirectories(dirname(options.consoleLog), 0o700).catch((error: unknown) => {
    throw notKept(`The console of ${definition.name}`, dirname(options.consoleLog), error);
  });
  const logStartBytes = existsSync(options.consoleLog) ? statSync(options.consoleLog).size : 0;
  context.signal.throwIfAborted();
  const defined = await defineDomain(definition, type, virsh, context);
  try {
    return await launch(definition.name, defined.uuid, { ...options, logStartBytes }, virsh, context);
  } catch (error) {
    const failure = asFailure(error);
    await endDomain(defined.uuid, definition.name, virsh);
    await defined.undo();
    if (failure.code !== 'start-failed') throw error;
    throw withConsole(failure, options.consoleLog, logStartBytes);
  }
}

interface Launch extends StartOptions {
  logStartBytes: number;
}

async function launch(
  name: string,
  uuid: string,
  options: Launch,
  virsh: Virsh,
  { signal }: Context,
): Promise<RunningGuest> {
  const text = await virsh.tell(
    ['dumpxml', '--inactive', '--security-info', `--domain=${uuid}`],
    `The definition of ${name} cannot be read`,
    'start-failed',
  );
  const created = await virsh.askWithXml(
    withConsoleLog(text, options.consoleLog),
    (file) => ['create', file],
    { timeoutMs: Math.max(options.timeoutMs, 20_000) },
  );
  if (!created.ok)
    throw new Failure('start-failed', `The guest ${name} could not be started: ${created.problem}.`);
  const guest = await findRunningDomain(virsh, uuid, new QemuProcesses(), {});
  if (guest === null) throw new Failure('start-failed', `The guest ${name} ended while it was starting.`);
  await waitUntilUp(guest, options, virsh, signal);
  return guest;
}

/** Ends what was started. Never aborted. Throws Failure `outcome-unknown` when it does not end. */
async function endDomain(uuid: string, name: string, virsh: Virsh): Promise<void> {
  const { signal } = new AbortController();
  const gone = await poll(
    async () => {
      const guest = await findRunningDomain(virsh, uuid, new QemuProcesses(), {});
      if (guest === null) return true;
      await virsh.ask(['destroy', `--domain=${uuid}`]);
      return (await stateOf(guest, virsh)) === null;
    },
    { timeoutMs: endTimeoutMs, intervalMs: endIntervalMs, signal },
  );
  if (gone === null)
    throw new Failure('outcome-unknown', placed`The guest ${name} did not come up, and could not be ended.`, {
      advice: placed`Look at it ${here} with \`${command('virsh', 'dominfo', name)}\`.`,
    });
}

function missingDisks({ disks }: GuestDefinition): Failure[] {
  return disks
    .filter(({ path }) => !existsSync(path))
    .map(({ path }) => new Failure('image-missing', placed`The guest's disk ${path} is not ${here}.`));
}

function withConsole(failure: Failure, consoleLog: string, logStartBytes: number): Failure {
  const lines = readFrom(consoleLog, logStartBytes)
    .split(/[\r\n]+/)
    .map((line) => line.replaceAll(/[^\x20-\x7E]/g, '').trimEnd())
    .filter((line) => line !== '');
  const end = lines.findIndex((line) => line.includes('Kernel panic')) + 1 || lines.length;
  const shown = lines.slice(Math.max(0, end - CONSOLE_LINES), end).join('\n');
  if (shown === '') return failure;
  return failure.withMessage(placed`${failure.placed.message} Its console shows:\n${shown}`);
}
