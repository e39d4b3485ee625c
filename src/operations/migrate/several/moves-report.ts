import type { FailureRecord } from '../../../failure.ts';
import type { MigrateRequest, MigrationPlan, MigrationReport } from '../migration-report.ts';

/** What `vmferry migrate` is asked to do with several guests. */
export interface MoveGuestsRequest {
  /** In the order in which they move; null: all that run here, by name. */
  guests: readonly string[] | null;
  /** For the guest of that name. */
  requestFor: (guest: string) => MigrateRequest;
  destination: string;
  /** Stop after the preflight of all, and report what would happen. */
  dryRun: boolean;
  /** A guest that could not be moved does not keep the next ones here. */
  keepGoing: boolean;
}

export interface MovedGuestsReport {
  type: 'guests-moved';
  destination: string;
  /** In the order in which they were moved. */
  guests: readonly MigrationReport[];
  failed: readonly ({ guest: string } & FailureRecord)[];
  /** They stay as they are, because an earlier one failed. */
  notBegun: readonly string[];
}

export interface PlannedGuestsReport {
  type: 'guests-planned';
  destination: string;
  guests: readonly MigrationPlan[];
}
