import type { ImageUser } from './usage.ts';

const MOST_PIDS = 3;

/**
 * Describes the users of an image, as the end of a sentence about it. Names a program once, even if it has many
 * processes: a User Mode Linux guest has a process for each of its own.
 */
export function describeUsers(users: readonly (ImageUser | GuestUser)[]): string {
  const pidsOf = new Map<string, number[]>();
  for (const { kind, name, pid } of users)
    if (kind === 'process' && pid !== undefined) pidsOf.set(name, [...(pidsOf.get(name) ?? []), pid]);
  const texts = users.map(({ kind, name, description }) => {
    const pids = kind === 'process' ? (pidsOf.get(name) ?? []) : [];
    return pids.length > 1 ? `is open in ${name} (processes ${listed(pids)})` : description;
  });
  return [...new Set(texts)].join(', and ');
}

function listed(pids: readonly number[]): string {
  const more = pids.length - MOST_PIDS;
  const shown = pids.slice(0, MOST_PIDS).join(', ');
  return more > 0 ? `${shown} and ${more} more` : shown;
}

/** A guest that uses the image; it stands for all of its processes. */
export interface GuestUser {
  kind: 'guest';
  pid?: number;
  name: string;
  description: string;
}
