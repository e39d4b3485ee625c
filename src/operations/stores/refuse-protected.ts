import { Failure } from '../../failure.ts';
import type { StoreSession } from '../store-access/store-session.ts';

/** Failure `usage` for protected snapshots, with the command that ends the protection. */
export function refuseAnyProtected(
  guest: string,
  [first = '', ...others]: readonly string[],
  { store }: Pick<StoreSession, 'store'>,
): Failure {
  const more = others.length === 0 ? '' : ` and ${others.length} more`;
  return new Failure('usage', `Nothing was deleted: ${guest}@${first}${more} is protected.`, {
    advice: `To delete it, end its protection first: vmferry unprotect ${store.location} ${guest}@${first}`,
  });
}
