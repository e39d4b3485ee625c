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

/** Has systemctl do something. Null when it did; else why not, as a sentence. */
export async function askSystemctl(
  words: readonly string[],
  isSystem: boolean,
  environment: NodeJS.ProcessEnv,
  context: Context,
): Promise<string | null> {
  const args = isSystem ? words : ['--user', ...words];
  const answer = await askIfThere('systemctl', args, context, environment);
  if (answer?.exitStatus === 0) return null;
  const said = answer === null ? 'it is not installed' : answer.stderr.trim().split('\n').at(-1);
  return `systemctl ${args.join(' ')}: ${said}.`.replace('..', '.');
}
