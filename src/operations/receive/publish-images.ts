import type { Context } from '../../events.ts';
import type { Grants } from './grants.ts';
import type { ReceiveSession } from './session.ts';

/**
 * Gives all images of a session their names.
 * @param granting null: later moves do not need them
 */
export async function publishImages(
  session: ReceiveSession,
  granting: Grants | null,
  { report }: Context,
): Promise<{ paths: string[]; grants?: string[] }> {
  const { paths, ownersKept } = await session.publish();
  if (!ownersKept)
    report({
      type: 'warning',
      code: 'owner-not-kept',
      message: 'The owner of the image could not be kept: only root can give files away.',
    });
  if (granting === null) return { paths };
  try {
    return { paths, grants: await Promise.all(paths.map((path) => granting.grant(path))) };
  } catch {
    // Later moves send their chunks, all the same.
    return { paths };
  }
}
