import type { QemuOption } from './option-list.ts';
import { isOn, parseSettings, type Settings } from './settings.ts';

/** The sockets by which a running QEMU can be spoken to. Paths are as they were given: maybe relative. */
export interface QemuSockets {
  /** Monitors that speak QMP. */
  qmp: readonly string[];
  /** The guest's agent; null if the guest has no channel for one. */
  agent: string | null;
}

/** The name of the agent's channel in the guest (qemu-ga, --path). */
export const AGENT_CHANNEL = 'org.qemu.guest_agent.0';

export function readSockets(options: readonly QemuOption[]): QemuSockets {
  const chardevs = new Map<string, Settings>();
  for (const { name, value } of options) {
    if (name !== 'chardev') continue;
    const settings = parseSettings(value, 'backend');
    chardevs.set(settings.get('id') ?? '', settings);
  }
  const qmp: string[] = [];
  let agent: string | null = null;
  for (const { name, value } of options) {
    if (name === 'qmp' || name === 'qmp-pretty') qmp.push(...socketOf(value, chardevs));
    if (name === 'mon') {
      const settings = parseSettings(value, 'chardev');
      if (settings.get('mode') === 'control')
        qmp.push(...pathOf(chardevs.get(settings.get('chardev') ?? '')));
    }
    if (name === 'device') {
      const settings = parseSettings(value, 'driver');
      if (settings.get('name') === AGENT_CHANNEL)
        agent = pathOf(chardevs.get(settings.get('chardev') ?? ''))[0] ?? agent;
    }
  }
  return { qmp, agent };
}

/** `unix:PATH,server=on,wait=off` and `chardev:ID`. */
function socketOf(value: string, chardevs: ReadonlyMap<string, Settings>): string[] {
  const [, kind, rest = ''] = /^(unix|chardev):(.*)$/s.exec(value) ?? [];
  if (kind === 'chardev') return pathOf(chardevs.get(rest));
  if (kind !== 'unix') return [];
  const settings = parseSettings(rest, 'path');
  return isOn(settings.get('server')) ? pathOf(new Map([...settings, ['backend', 'socket']])) : [];
}

/** Only a socket on which QEMU waits for clients. */
function pathOf(settings: Settings | undefined): string[] {
  const path = settings?.get('path');
  if (settings?.get('backend') !== 'socket' || !isOn(settings.get('server')) || path === undefined) return [];
  return settings.get('abstract') === 'on' ? [`\0${path}`] : [path];
}

/** The ids of the character devices that the guest itself does not see. */
export function monitorChardevs(options: readonly QemuOption[]): Set<string> {
  return new Set(
    options.flatMap(({ name, value }) => {
      if (name === 'mon') return [parseSettings(value, 'chardev').get('chardev') ?? ''];
      if (name === 'qmp' || name === 'monitor') return [value.replace(/^chardev:/, '')];
      return [];
    }),
  );
}
