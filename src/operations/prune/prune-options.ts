import type { RetentionRules } from '../../repository/retention/retention.ts';

export interface PruneOptions {
  rules: RetentionRules;
  /** How long what is not reached stays in its place, and then in the trash, by the server's clock. */
  graceMs: number;
  /** How much of the stored bytes may be dead: 0 to 1. */
  maxWaste: number;
}

export interface PruneClock {
  now: () => Date;
  /** An IANA name. */
  timeZone: string;
  /** So many random hex digits. */
  randomHex: (digits: number) => string;
}
