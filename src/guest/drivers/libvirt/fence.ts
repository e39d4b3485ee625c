import { z } from 'zod';
import type { Context } from '../../../events.ts';
import { Failure } from '../../../failure.ts';
import type { GuestDefinition } from '../../definition.ts';
import { isFenced, withFence, withoutFence } from './domain/fence-paths.ts';
import { domainInfo } from './domains.ts';
import { alreadyRunning, define, requireKnown, setAutostart } from './keep.ts';
import type { Virsh } from './virsh.ts';

const fenceText = z.strictObject({ autostart: z.boolean() });

/**
 * libvirt keeps the domain, which no longer starts with the machine, nor by hand: the paths of its disks lead nowhere. The paths
 * themselves say how that is taken back.
 */
export async function fenceDomain(
  definition: GuestDefinition,
  virsh: Virsh,
  context: Context,
): Promise<string> {
  const info = await requireKnown(definition, virsh);
  if (info.id !== null) throw alreadyRunning(info.name);
  const text = await dump(info.uuid, info.name, virsh);
  // A fence that was cut short may have switched it off already.
  const autostart = info.autostart || (isFenced(text) && definition.autostart === true);
  if (!isFenced(text)) await define(withFence(text), info.name, virsh, context);
  if (!isFenced(await dump(info.uuid, info.name, virsh)))
    throw new Failure('guest-unsupported', `The guest ${info.name} has no disk that could be kept from it.`, {
      advice: `Keep it from being started yourself: virsh undefine ${info.name}`,
    });
  if (info.autostart) await setAutostart(info, false, virsh);
  return JSON.stringify({ autostart });
}

export async function unfenceDomain(
  definition: GuestDefinition,
  fence: string,
  virsh: Virsh,
  context: Context,
): Promise<void> {
  const { autostart } = fenceText.parse(JSON.parse(fence));
  const info = await domainInfo(virsh, definition.uuid ?? definition.name);
  // It was forgotten meanwhile: nothing keeps it from being defined again.
  if (info === null) return;
  const text = await dump(info.uuid, info.name, virsh);
  if (isFenced(text)) await define(withoutFence(text), info.name, virsh, context);
  if (autostart !== info.autostart) await setAutostart(info, autostart, virsh);
}

function dump(uuid: string, name: string, virsh: Virsh): Promise<string> {
  return virsh.tell(
    ['dumpxml', '--inactive', '--security-info', `--domain=${uuid}`],
    `The definition of ${name} cannot be read`,
    'guest-unsupported',
  );
}
