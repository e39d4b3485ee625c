import type { ConversionAccount, MigrateRequest } from '../migrate/migration-report.ts';
import type { PassReport } from '../migrate/passes/pass-report.ts';

/** What `vmferry rehearse` is asked to do: the move that is rehearsed, without what comes with its halt. */
export interface RehearseRequest extends MigrateRequest {
  /** The guest may be stopped during the last pass, where its file system has no reflinks. */
  mayPause: boolean;
}

export interface RehearsedDisk {
  source: string;
  /** Where the move puts it. */
  target: string;
  /** The incomplete image that stays there. */
  partial: string;
  sizeBytes: number;
  /** Compressed bytes that were sent, in all passes. */
  sentBytes: number;
}

export interface RehearsalReport extends ConversionAccount {
  type: 'rehearsed';
  guest: string;
  destination: string;
  disks: readonly RehearsedDisk[];
  /** The passes over the disks, in order; the last one was over disks that were held still. */
  passes: readonly PassReport[];
  /** Until the copy was up there. */
  bootSeconds: number;
  /** From the halt of the guest until it is up there, if it moves now. */
  predictedDowntimeSeconds: number;
  /** The command that removes the incomplete images. */
  giveUp: string;
  seconds: number;
  warnings: readonly string[];
}
