import { Failure } from '../../failure.ts';
import { here, placed, type PlacedText } from '../../placed-text.ts';
import { fileIdentity } from '../../system/file-identity.ts';
import type { GuestDefinition } from '../definition.ts';
import { cardsOf } from './check-network.ts';

/** A guest that this machine knows already. */
export interface KnownGuest {
  definition: GuestDefinition;
  state: 'running' | 'kept' | 'remembered';
}

/** What must belong to one guest alone, and belongs to another guest here: its name, its UUID, a MAC address, a disk. */
export async function checkUnique(
  definition: GuestDefinition,
  known: readonly KnownGuest[],
  mayOverwrite: boolean,
): Promise<Failure[]> {
  const problems: Failure[] = [];
  const add = (
    code: 'guest-already-running' | 'target-exists' | 'image-in-use',
    message: PlacedText,
    advice: string,
  ) => {
    problems.push(new Failure(code, message, { advice }));
  };
  const written = await writtenFiles(definition);
  const macs = macsOf(definition);
  for (const { definition: other, state } of known) {
    const label = `${other.name} (${other.driver})`;
    if (other.name === definition.name)
      add(
        state === 'running' ? 'guest-already-running' : 'target-exists',
        placed`A guest named ${other.name} is known to ${other.driver} ${here} already.`,
        'Rename one of the two, or remove the other if it is not needed.',
      );
    if (definition.uuid !== undefined && other.uuid === definition.uuid)
      add(
        'target-exists',
        placed`The UUID ${definition.uuid} is that of ${label} ${here}.`,
        'Give one of the two another UUID.',
      );
    for (const mac of macsOf(other).filter((one) => macs.includes(one)))
      add(
        'target-exists',
        placed`The MAC address ${mac} is that of ${label} ${here}.`,
        'Give one of the two another address: with the same one, neither has a network that works.',
      );
    const theirs = await writtenFiles(other);
    const shared = [...written].find(([key]) => theirs.has(key));
    if (shared !== undefined && (state === 'running' || !mayOverwrite))
      add(
        'image-in-use',
        placed`${shared[1]} is a disk of ${label} ${here}.`,
        'Choose another file or device: two guests that write to one disk destroy it.',
      );
  }
  return problems;
}

/** Cards on a network in user space never meet. */
function macsOf(definition: GuestDefinition): string[] {
  return cardsOf(definition).flatMap(({ mac, attachedTo }) =>
    mac === undefined || attachedTo.kind === 'user' ? [] : [mac],
  );
}

/** The paths of disks that the guest writes to, by what identifies the file. */
async function writtenFiles({ disks }: GuestDefinition): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const { path, readOnly } of disks)
    if (!readOnly) {
      files.set(path, path);
      const identity = await fileIdentity(path);
      if (identity !== null) files.set(identity, path);
    }
  return files;
}
