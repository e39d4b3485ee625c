import type { GuestDefinition } from '../../definition.ts';

/** What a guest that comes asks of this machine and nobody compares with what it has, as sentences. */
export function uncheckedWishes({ name, native }: GuestDefinition): string[] {
  const masks = (native?.beyond ?? []).filter((setting) => /^line \d+: cpuid\b/.test(setting));
  if (masks.length === 0) return [];
  return [
    `${name} chooses features of its processor (${masks.join('; ')}). Whether the new processor has them is not checked.`,
  ];
}
