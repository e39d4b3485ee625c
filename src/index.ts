/** The public library: what the command line is made of. */
export { createDependencies, type Dependencies } from './wiring.ts';
export { Failure, exitStatusByCode, type FailureCode } from './failure.ts';
export type { Context, Event } from './events.ts';
export { migrate } from './operations/migrate.ts';
export type { MigrateRequest, MigrationPlan, MigrationReport } from './operations/migration-report.ts';
export { revertMigration, type RevertReport, type RevertRequest } from './operations/revert.ts';
export { inspectImage, type ImageReport } from './operations/inspect.ts';
export { backup, type BackupRequest } from './operations/backup.ts';
export type { BackupReport } from './operations/backup-report.ts';
export { restore } from './operations/restore.ts';
export type { RestoreReport, RestoreRequest } from './operations/restore-report.ts';
export { verifyStore } from './operations/verify-store.ts';
export { prune, type PruneRequest } from './operations/prune.ts';
export { listStore } from './operations/list-store.ts';
export { StoreSession } from './operations/store-session.ts';
