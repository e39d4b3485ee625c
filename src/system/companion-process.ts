import { spawn } from 'node:child_process';
import { orShortage } from '../failure.ts';
import { errorCode } from './error-code.ts';

/** A program that works for this process, and ends with it, however this process ends. */
export interface Companion {
  pid: number;
  /**
   * Ends it by SIGTERM, and if that takes too long by SIGKILL; waits until it is gone and cleaned up after, and gives its exit status (as a
   * shell: 143 for SIGTERM).
   */
  end(): Promise<number>;
}

export interface CompanionOptions {
  /** Whether this line of its output says that it is ready. */
  isReady: (line: string) => boolean;
  /** For sh: runs after its end, also after the end of this process; `$1` is `cleanUpArgument`. */
  cleanUp: string;
  cleanUpArgument: string;
  env?: NodeJS.ProcessEnv;
  /** How long it may take to end; `USUAL_END_LIMIT_MS` unless given. */
  endLimitMs?: number;
}

const USUAL_END_LIMIT_MS = 20_000;

/** The program ended before it was ready. */
export class CompanionError extends Error {
  /** 127: there is no such program. */
  readonly exitStatus: number;
  /** What it printed as errors, cut to a few KB. */
  readonly stderr: string;

  constructor(program: string, exitStatus: number, stderr: string) {
    super(`${program} ended with status ${exitStatus}: ${stderr}`);
    this.name = 'CompanionError';
    this.exitStatus = exitStatus;
    this.stderr = stderr;
  }
}

const LONGEST_OUTPUT = 16 * 1024;

const companions = new Set<number>();

/** The companions of this process that run at this moment. */
export function companionPids(): ReadonlySet<number> {
  return companions;
}

/*
 * The shell waits for the end of a pipe that only this process holds. It closes its own output, so that the end of the
 * output is the end of the program.
 */
const script = (cleanUp: string) => `
directory=$1; shift
"$@" </dev/null &
companion=$!
echo "companion $companion"
exec >&-
trap '' HUP INT TERM
read -r word
kill "$companion" 2>/dev/null
wait "$companion"
status=$?
set -- "$directory"
${cleanUp}
exit "$status"
`;

/**
 * Starts a program, and waits until it says that it is ready. It has no input, and a session of its own, so that Ctrl-C does
 * not end it. Throws `CompanionError`, and Node's own error when no shell can be started.
 */
export async function startCompanion(
  program: string,
  args: readonly string[],
  { isReady, cleanUp, cleanUpArgument, env = process.env, endLimitMs = USUAL_END_LIMIT_MS }: CompanionOptions,
): Promise<Companion> {
  const command = ['-c', script(cleanUp), 'vmferry-companion', cleanUpArgument, program, ...args];
  const shell = spawn('/bin/sh', command, { detached: true, stdio: ['pipe', 'pipe', 'pipe'], env });
  // The shell may be gone already; its exit status is what counts.
  shell.stdin.on('error', () => {});
  let stderr = '';
  shell.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (stderr.length < LONGEST_OUTPUT) stderr += text.slice(0, LONGEST_OUTPUT);
  });
  const ended = new Promise<number>((resolve) => {
    shell.once('close', (status) => resolve(status ?? 1));
  });
  const pid = await readyPid(shell, isReady);
  if (pid !== null) companions.add(pid);
  const end = async () => {
    shell.stdin.end();
    // A time, since no event tells that a program ignores SIGTERM.
    const killer = pid === null ? undefined : setTimeout(() => killIfThere(pid), endLimitMs);
    const status = await ended;
    clearTimeout(killer);
    if (pid !== null) companions.delete(pid);
    return status;
  };
  if (pid !== null) return { pid, end };
  throw new CompanionError(program, await end(), stderr.trim());
}

/** Its parent, the shell, waits for it, so the pid is still its own, or nobody's. */
function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (errorCode(error) !== 'ESRCH') throw error;
  }
}

/** The program's pid when it is ready; null when it ended before. */
function readyPid(
  shell: ReturnType<typeof spawn>,
  isReady: CompanionOptions['isReady'],
): Promise<number | null> {
  return new Promise((resolve, reject) => {
    let output = '';
    let isDone = false;
    shell.once('error', (error) => reject(orShortage(error) as Error));
    shell.stdout?.once('end', () => resolve(null));
    // Reads on after that, so that the program never waits for a reader.
    shell.stdout?.setEncoding('utf8').on('data', (text: string) => {
      if (isDone) return;
      output += text;
      const pid = pidWhenReady(output, isReady);
      if (pid !== null) resolve(pid);
      isDone = output.length > LONGEST_OUTPUT || pid !== null;
    });
  });
}

/** The program's pid once its output says that it is ready. On a busy machine the program prints before the shell prints the pid. */
export function pidWhenReady(output: string, isReady: CompanionOptions['isReady']): number | null {
  const lines = output.split('\n').slice(0, -1);
  const pid = lines.map((line) => /^companion (\d+)$/.exec(line)?.[1]).find((text) => text !== undefined);
  return pid === undefined || !lines.some(isReady) ? null : Number(pid);
}
