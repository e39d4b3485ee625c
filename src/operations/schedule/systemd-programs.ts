import type { Context } from '../../events.ts';
import { errorCode } from '../../system/error-code.ts';
import { run, type CommandResult } from '../../system/processes.ts';

/** Runs a program of systemd; null when it is not installed. */
export async function askIfThere(
  program: string,
  args: readonly string[],
  { signal }: Context,
  env?: NodeJS.ProcessEnv,
): Promise<CommandResult | null> {
  try {
    return await run(program, args, { signal, timeoutMs: 60_000, ...(env && { env }) });
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  }
}
