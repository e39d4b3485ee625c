import { dirname } from 'node:path';
import { Failure } from '../../../failure.ts';
import type { GuestDefinition } from '../../../guest/definition.ts';
import type { TakenBesides } from '../../../wire/messages.ts';

/** What is needed of one guest's preflight to judge it together with others. */
export interface GuestToMove {
  /** As it was typed. */
  typed: string;
  definition: Pick<GuestDefinition, 'name' | 'driver'>;
  /** What it takes there: its disks in new files, and memory. */
  takes: TakenBesides;
  /** All its disks here. */
  sources: readonly string[];
  /** The same, absolute, on the new hardware. */
  targets: readonly string[];
}

/** What several guests take together. */
export function takenBy(guests: readonly GuestToMove[]): TakenBesides {
  return {
    files: guests.flatMap(({ takes }) => takes.files),
    memoryBytes: guests.reduce((sum, { takes }) => sum + takes.memoryBytes, 0),
  };
}

/** Why a guest cannot move together with the earlier ones, although each could move alone. */
export function conflictsWith(
  { typed, definition, sources, targets }: GuestToMove,
  earlier: readonly GuestToMove[],
): Failure[] {
  const problems: Failure[] = [];
  for (const other of earlier) {
    const shared = sources.find((path) => other.sources.includes(path));
    if (shared !== undefined) {
      problems.push(
        new Failure('usage', `${other.typed} and ${typed} are the same, or share ${shared}.`, {
          advice: 'Name each guest and each image once.',
        }),
      );
      continue;
    }
    // Images that no guest uses may have the same file name.
    if (other.definition.name === definition.name && definition.driver !== 'offline') {
      problems.push(
        new Failure(
          'usage',
          `${other.typed} and ${typed} have the same name, and would be one guest there.`,
          {
            advice: 'Move one of them, and rename the other first.',
          },
        ),
      );
      continue;
    }
    for (const target of targets.filter((path) => other.targets.includes(path)))
      problems.push(
        new Failure('target-exists', `A disk of ${other.typed} would be written to ${target} as well.`, {
          advice: `Move ${typed} by itself, into another directory than ${dirname(target)}: --to HOST:DIR`,
        }),
      );
  }
  return problems;
}
