import { readOptions } from '../arguments/option-list.ts';
import { withSetting, parseSettings } from '../arguments/settings.ts';
import type { Accelerator } from './probe.ts';

/** The arguments with this way of running the guest's processor, and no other. `host` is a processor that only KVM has. */
export function accelerated(args: readonly string[], accelerator: Accelerator): string[] {
  const result = readOptions(args).options.flatMap(({ name, value, width }): string[] => {
    if (['accel', 'enable-kvm', 'no-kvm'].includes(name)) return [];
    if (width === 1) return [name === 'hda' ? value : `-${name}`];
    if (name === 'cpu' && accelerator === 'tcg') return ['-cpu', value.replace(/^host(?=,|$)/, 'max')];
    if (name !== 'machine' && name !== 'M') return [`-${name}`, value];
    if (!parseSettings(value, 'type').has('accel')) return [`-${name}`, value];
    const rest = withSetting(value, 'accel', null, 'type');
    return rest === '' ? [] : [`-${name}`, rest];
  });
  return [...result, '-accel', accelerator];
}

/** Whether the guest's processor can be had without KVM only by another one. */
export function needsKvm(args: readonly string[]): boolean {
  return readOptions(args).options.some(({ name, value }) => name === 'cpu' && /^host(?:,|$)/.test(value));
}

/** Without what concerns how QEMU was started: vmferry detaches it, and the guest runs at once. */
export function detachable(args: readonly string[]): string[] {
  return readOptions(args).options.flatMap(({ name, value, width }) => {
    if (name === 'daemonize' || name === 'S') return [];
    return width === 1 ? [name === 'hda' ? value : `-${name}`] : [`-${name}`, value];
  });
}
