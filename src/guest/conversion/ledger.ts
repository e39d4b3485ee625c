/** What a conversion does, in sentences for people. */
export interface Ledger {
  /** What is different, and works the same. */
  changes: string[];
  /** What the guest had, and will not have. */
  losses: string[];
}
