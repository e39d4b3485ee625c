import type { Context, ProbeAccount } from '../../events.ts';
import { failureOrReason } from '../../failure.ts';
import type { MigrateDependencies } from './migrate-dependencies.ts';
import type { MigrateRequest } from './migration-report.ts';
import { commitMove } from './commit.ts';

/**
 * Commits a move that its probes have proven, as `vmferry commit` does, unless it is to stay open. If that fails, warns, and the move
 * stays open: the guest runs there all the same.
 * @returns whether the move is committed
 */
export async function commitProven(
  guest: string,
  probes: readonly ProbeAccount[],
  { probing, target: { destination } }: MigrateRequest,
  dependencies: MigrateDependencies,
  context: Context,
): Promise<boolean> {
  if (probing.keepOpen || !isProven(probes)) return false;
  try {
    await commitMove(guest, false, dependencies, context);
    return true;
  } catch (error) {
    const { message } = failureOrReason(error, context.signal);
    context.report({
      type: 'warning',
      code: 'not-committed',
      message: `${guest} runs on ${destination} as before, but the move could not be committed, so the way back stays open: ${message} To commit it: vmferry commit ${guest}`,
    });
    return false;
  }
}

/**
 * Whether all probes have answered exactly as before, and there is one. One that did not answer before the halt proves nothing; a service that
 * introduces itself in another way may be another machine's; and people may not reach what only the new hardware reaches.
 */
export function isProven(probes: readonly ProbeAccount[]): boolean {
  return (
    probes.length > 0 &&
    probes.every(
      ({ outcome, before, after, isOnlyThere }) => outcome === 'passed' && after === before && !isOnlyThere,
    )
  );
}
