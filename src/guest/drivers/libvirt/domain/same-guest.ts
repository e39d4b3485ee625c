import type { GuestDefinition } from '../../../definition.ts';

/** Whether a domain of the same name is this guest: it has its UUID or, where the definition has none, its disks. */
export function isSameGuest(known: GuestDefinition, definition: GuestDefinition): boolean {
  if (definition.uuid !== undefined && known.uuid !== undefined) return definition.uuid === known.uuid;
  const images = ({ disks }: GuestDefinition) => disks.map(({ path }) => path).sort();
  return JSON.stringify(images(known)) === JSON.stringify(images(definition));
}

/** Whether two definitions start the same guest; their own texts are not compared. */
export function startsTheSame(one: GuestDefinition, other: GuestDefinition): boolean {
  return canonical(one) === canonical(other);
}

function canonical({ native, autostart, ...rest }: GuestDefinition): string {
  void [native, autostart];
  return JSON.stringify(rest, (_, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
}
