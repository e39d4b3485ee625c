import { autostartCommand } from './commands/autostart.ts';
import { backupCommand } from './commands/backup.ts';
import { commitCommand } from './commands/moves/commit.ts';
import { cutoverCommand } from './commands/moves/cutover.ts';
import { convertCommand } from './commands/convert.ts';
import { diffCommand } from './commands/diff.ts';
import { exportCommand } from './commands/exchange/export.ts';
import { forgetCommand } from './commands/forget.ts';
import { guestsCommand } from './commands/guests.ts';
import { haltCommand } from './commands/halt.ts';
import { importCommand } from './commands/exchange/import.ts';
import { initCommand } from './commands/init.ts';
import { inspectCommand } from './commands/inspect.ts';
import { keyCommand } from './commands/key.ts';
import { listCommand } from './commands/list.ts';
import { migrateCommand } from './commands/migrate.ts';
import { migrationsCommand } from './commands/moves/migrations.ts';
import { protectCommand, unprotectCommand } from './commands/protect.ts';
import { pruneCommand } from './commands/prune.ts';
import { receiveCommand } from './commands/receive.ts';
import { rehearseCommand } from './commands/moves/rehearse.ts';
import { restoreCommand } from './commands/restore.ts';
import { revertCommand } from './commands/revert.ts';
import { scheduleCommand } from './commands/schedule.ts';
import { startCommand } from './commands/start.ts';
import { verifyCommand } from './commands/verify.ts';

/** All commands, in the order of the help. */
export const commands = [
  migrateCommand,
  rehearseCommand,
  revertCommand,
  cutoverCommand,
  commitCommand,
  migrationsCommand,
  initCommand,
  backupCommand,
  listCommand,
  restoreCommand,
  verifyCommand,
  diffCommand,
  exportCommand,
  importCommand,
  pruneCommand,
  protectCommand,
  unprotectCommand,
  forgetCommand,
  keyCommand,
  scheduleCommand,
  guestsCommand,
  haltCommand,
  startCommand,
  autostartCommand,
  inspectCommand,
  convertCommand,
  receiveCommand,
];
