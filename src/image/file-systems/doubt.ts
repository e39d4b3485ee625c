/** Why the free blocks of a file system must not be left out, as a clause about it. Never leaves the file systems' parsers. */
export class Doubt extends Error {}

/** The doubt of a file system that was not unmounted in order: it is not damaged, but its free blocks are not yet known. */
export class Unclean extends Doubt {}

/** Runs the attempt; returns null if it throws a Doubt. */
export function orDoubt<Result>(attempt: () => Result): Result | null {
  try {
    return attempt();
  } catch (error) {
    if (error instanceof Doubt) return null;
    throw error;
  }
}
