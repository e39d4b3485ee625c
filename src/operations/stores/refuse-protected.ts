import { Failure } from '../../failure.ts';
import type { StoreSession } from '../store-access/store-session.ts';

/** Failure `usage` that says how to let go of what is protected. */
export function refuseAnyProtected(
  guest: string,
  [first = '', ...others]: readonly string[],
  { store }: Pick<StoreSession, 'store'>,
): Failure {
  const more = others.length === 0 ? '' : ` and ${others.length} more`;
  return new Failure('usage', `Nothing was deleted: ${guest}@${first}${more} is protected.`, {
    advice: `If it is to go all the same: vmferry unprotect ${store.location} ${guest}@${first}`,
  });
}
