import type { KeepSettings } from '../../config/config.ts';
import { durationText } from '../../config/duration.ts';

/** The rules as options of `vmferry prune`. */
export function keepArguments({ withinMs, ...counts }: KeepSettings): string[] {
  const words = Object.entries(counts).flatMap(([rule, count]) => [`--keep-${rule}`, String(count)]);
  return withinMs === undefined ? words : [...words, '--keep-within', durationText(withinMs)];
}
