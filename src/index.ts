/** The public library: what the command line is made of. */
export { createDependencies, type Dependencies } from './wiring.ts';
export { Failure, exitStatusByCode, type FailureCode } from './failure.ts';
export type { Context, Event } from './events.ts';
export { migrate } from './operations/migrate/migrate.ts';
export type {
  MigrateRequest,
  MigrationPlan,
  MigrationReport,
} from './operations/migrate/migration-report.ts';
export { rehearse } from './operations/rehearse/rehearse.ts';
export type { RehearsalReport, RehearseRequest } from './operations/rehearse/rehearsal-report.ts';
export { revertMigration, type RevertReport, type RevertRequest } from './operations/migrate/revert.ts';
export { withBackingDirectories } from './operations/guests/backing-directories.ts';
export { inspectImage, type ImageReport } from './operations/guests/inspect.ts';
export { backup, type BackupRequest } from './operations/backup/backup.ts';
export type { BackupReport } from './operations/backup/backup-report.ts';
export { restore } from './operations/restore/restore.ts';
export type { RestoreReport, RestoreRequest } from './operations/restore/restore-report.ts';
export { verifyStore } from './operations/verify/verify-store.ts';
export { prune, type PruneRequest } from './operations/prune/prune.ts';
export { listStore } from './operations/stores/list-store.ts';
export { StoreSession } from './operations/store-access/store-session.ts';
