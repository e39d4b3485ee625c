import type { Adaptation } from '../../../guest/adaptation/plan.ts';
import type { HypervisorKind } from '../../../guest/definition-language.ts';
import type { GuestThere } from './guest-there.ts';

/** What becomes of the guest's definition, and of what is in the guest. */
export interface ConversionAccount {
  /** The hypervisor there; null for an image that no guest uses. */
  as: HypervisorKind | null;
  /** Full sentences; empty if the guest stays as it is. */
  changes: readonly string[];
  losses: readonly string[];
}

/** All that becomes different, for a report. */
export function conversionAccount(
  { definition: { driver }, changes, losses }: Pick<GuestThere, 'definition' | 'changes' | 'losses'>,
  fixups: Pick<Adaptation, 'changes'> | null,
): ConversionAccount {
  return {
    as: driver === 'offline' ? null : driver,
    changes: [...changes, ...(fixups?.changes ?? [])],
    losses,
  };
}
