import { run, type RunOptions } from '../../../src/system/processes.ts';
import { findTool } from '../../support/programs/tools.ts';

/** Runs a program of this machine and returns its standard output. Throws with its last words when it fails. */
export async function succeed(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { exitStatus, stdout, stderr } = await run(findTool(program) ?? program, args, options);
  if (exitStatus !== 0)
    throw new Error(`${program} failed (${exitStatus ?? 'killed'}): ${(stderr || stdout).slice(-2000)}`);
  return stdout;
}
