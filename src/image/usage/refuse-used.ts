import { Failure } from '../../failure.ts';
import { describeUsers } from './describe-users.ts';
import { findUsers, type ImageUser } from './usage.ts';

/** Selects the users of an image that count. */
export type UserFilter = (
  users: readonly ImageUser[],
) => readonly ImageUser[] | Promise<readonly ImageUser[]>;

const allUsers: UserFilter = (users) => users;

/**
 * Failure `image-in-use` when anything but this process uses the image; null when nothing does.
 * @param advice what to do about it
 */
export async function findUse(
  path: string,
  advice: string,
  counted: UserFilter = allUsers,
): Promise<Failure | null> {
  const users = await counted(await findUsers(path));
  if (users.length === 0) return null;
  return new Failure('image-in-use', `${path} ${describeUsers(users)}.`, { advice });
}

/** Throws what `findUse` finds. */
export async function refuseUsed(path: string, advice: string): Promise<void> {
  const use = await findUse(path, advice);
  if (use !== null) throw use;
}
