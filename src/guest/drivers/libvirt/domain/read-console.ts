import type { Element } from '@xmldom/xmldom';
import type { GuestDefinition } from '../../../definition.ts';
import { all, attributeOf, find } from '../xml/elements.ts';

/**
 * The device that the guest's kernel has its console on: what `console=` names last, else the first console of the domain, else
 * its screen.
 */
export function readConsole(root: Element): Exclude<GuestDefinition['console'], undefined> {
  const named = [
    ...(find(root, 'os', 'cmdline')?.textContent ?? '').matchAll(/\bconsole=(tty0|ttyS0|hvc0)\b/g),
  ];
  const last = named.at(-1)?.[1];
  if (last === 'tty0' || last === 'ttyS0' || last === 'hvc0') return last;
  const devices = find(root, 'devices');
  const [console] = all(devices, 'console');
  const target = attributeOf(find(console, 'target'), 'type');
  if (target === 'virtio') return 'hvc0';
  return console !== undefined || all(devices, 'serial').length > 0 ? 'ttyS0' : 'tty0';
}
