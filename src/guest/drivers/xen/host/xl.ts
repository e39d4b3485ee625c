import { Failure } from '../../../../failure.ts';
import { here, placed } from '../../../../placed-text.ts';
import { run, type CommandResult } from '../../../../system/processes.ts';
import { findProgram, type XenHost } from './host.ts';

/** A busy control domain may take a while; xl itself has no time limit. */
const answerTimeoutMs = 120_000;

/**
 * Runs xl to its end. Throws Failure `hypervisor-missing` when it is not installed, or does not end in time, and the signal's
 * reason when aborted.
 */
export async function xl(
  host: XenHost,
  args: readonly string[],
  signal: AbortSignal,
  timeoutMs = answerTimeoutMs,
): Promise<CommandResult> {
  signal.throwIfAborted();
  const program = findProgram(host, 'xl');
  if (program === null) throw xlMissing(host);
  const env = { ...host.environment, LC_ALL: 'C' };
  try {
    const result = await run(program, args, { env, signal, timeoutMs });
    if (result.exitStatus !== null) return result;
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
  throw new Failure(
    'hypervisor-missing',
    placed`xl ${args[0] ?? ''} did not end ${here} within ${timeoutMs / 1000} s.`,
    {
      advice: 'Is xenstored running? Look at the log in /var/log/xen.',
    },
  );
}

export function xlMissing(host: XenHost): Failure {
  const isXm = findProgram(host, 'xm') !== null;
  return new Failure(
    'hypervisor-missing',
    isXm
      ? placed`Only the old program xm is installed ${here}, which vmferry does not use.`
      : placed`The program xl is not installed ${here}.`,
    {
      advice: isXm
        ? 'Install Xen 4.2 or later, which has xl. To move such a guest away, halt it and move its image by its path.'
        : 'On Debian: install xen-system-amd64, and start the machine with Xen.',
    },
  );
}

/** The last line of what a program complained, for people. */
export function complaintOf({ stderr, stdout }: CommandResult): string {
  const lines = `${stdout}\n${stderr}`.split('\n').map((line) => line.trim());
  const telling = lines.filter((line) => line !== '' && !line.startsWith('Parsing config'));
  // The first complaint of libxl is the cause; later ones follow from it.
  return (
    telling.find((line) => /error|panic|fail/i.test(line)) ??
    telling[0] ??
    'it does not say why'
  ).slice(0, 500);
}
