import process from 'node:process';
import { backupCommand } from './commands/backup.ts';
import { guestsCommand } from './commands/guests.ts';
import { haltCommand } from './commands/halt.ts';
import { inspectCommand } from './commands/inspect.ts';
import { keyCommand } from './commands/key.ts';
import { migrateCommand } from './commands/migrate.ts';
import { receiveCommand } from './commands/receive.ts';
import { revertCommand } from './commands/revert.ts';
import { startCommand } from './commands/start.ts';
import { runProgram } from './program.ts';
import { readVersion } from './version.ts';

const version = readVersion();

// What the process ends with should it run out of things to wait for before it has an answer.
process.exitCode = 1;
process.exitCode = await runProgram({
  argv: process.argv.slice(2),
  environment: process.env,
  process,
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  version,
  commands: [
    migrateCommand,
    revertCommand,
    backupCommand,
    keyCommand,
    guestsCommand,
    haltCommand,
    startCommand,
    inspectCommand,
    receiveCommand,
  ],
  loadDependencies: async () => (await import('../wiring.ts')).createDependencies(version, process.env),
  now: () => performance.now(),
});
