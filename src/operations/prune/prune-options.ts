import type { RetentionRules } from '../../repository/retention/retention.ts';

export interface PruneOptions {
  rules: RetentionRules;
  /** How long unneeded data stays in its place, and then in the trash; by the server's clock. */
  graceMs: number;
  /** How much of the stored data may be unneeded: 0 to 1. */
  maxWaste: number;
}

export interface PruneClock {
  now: () => Date;
  /** An IANA name. */
  timeZone: string;
  /** Gives this number of random hex digits. */
  randomHex: (digits: number) => string;
}
