import type { GuestDefinition } from '../../../guest/definition.ts';
import { thisMachine } from '../../../system/machine.ts';
import type { OwnerClaim } from '../../../wire/messages.ts';

/** Whose incomplete images the new hardware may continue: those of the same guest from this machine. */
export function ownerClaim({ name }: Pick<GuestDefinition, 'name'>): OwnerClaim {
  const { id, host } = thisMachine();
  return { machine: id ?? host, guest: name };
}
