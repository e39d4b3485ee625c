import process from 'node:process';
import { commands } from './commands.ts';
import { runProgram } from './program.ts';
import { readVersion } from './version.ts';

const version = readVersion();

// The exit status if Node ends the process before there is a result: nothing is left to wait for.
process.exitCode = 1;
process.exitCode = await runProgram({
  argv: process.argv.slice(2),
  environment: process.env,
  process,
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  version,
  commands,
  async loadDependencies() {
    const { createDependencies, tuneMemory } = await import('../wiring.ts');
    tuneMemory();
    return createDependencies(version, process.env);
  },
  now: () => performance.now(),
});
