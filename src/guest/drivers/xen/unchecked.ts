import type { GuestDefinition } from '../../definition.ts';

/** Warnings for a guest that moves to this machine: sentences about its settings that vmferry does not compare with this machine. */
export function uncheckedSettings({ name, native }: GuestDefinition): string[] {
  const masks = (native?.beyond ?? []).filter((setting) => /^line \d+: cpuid\b/.test(setting));
  if (masks.length === 0) return [];
  return [
    `${name} chooses features of its processor (${masks.join('; ')}). Whether the new processor has them is not checked.`,
  ];
}
