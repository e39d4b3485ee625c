import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Element } from '@xmldom/xmldom';
import { Failure } from '../../../../failure.ts';
import { command, here, placed } from '../../../../placed-text.ts';
import type { GuestDefinition } from '../../../definition.ts';
import { parseXml } from '../xml/document.ts';
import { all, attributeOf, find } from '../xml/elements.ts';

/** A TPM that libvirt emulates: what the guest stores in it is in a directory of the machine, and on no disk of the guest. */
function emulatedTpm(text: string): Element | undefined {
  if (!text.includes('<tpm')) return undefined;
  const { root } = parseXml(text, 'the domain');
  const tpms = all(find(root, 'devices'), 'tpm');
  return tpms
    .map((tpm) => find(tpm, 'backend'))
    .find((backend) => attributeOf(backend, 'type') === 'emulator');
}

export function hasEmulatedTpm(text: string): boolean {
  return emulatedTpm(text) !== undefined;
}

/**
 * Where libvirt keeps the states of TPMs, each in a directory with the UUID of its guest.
 * @param sessionDirectory null for the system's libvirt
 */
export function tpmDirectory(sessionDirectory: string | null): string {
  return join(sessionDirectory ?? '/var/lib/libvirt', 'swtpm');
}

/**
 * For a guest that libvirt does not know yet: with no state there, it would begin with an empty TPM, and what the guest has sealed with the old one
 * could not be opened.
 */
export function missingTpmState(
  text: string,
  { name, uuid }: Pick<GuestDefinition, 'name' | 'uuid'>,
  directory: string,
): Failure[] {
  const tpm = emulatedTpm(text);
  // Without a UUID, it was never a guest of libvirt.
  if (tpm === undefined || uuid === undefined) return [];
  const path = attributeOf(find(tpm, 'source'), 'path') ?? join(directory, uuid);
  if (existsSync(path)) return [];
  return [
    new Failure(
      'guest-unsupported',
      placed`${name} has an emulated TPM, and what the guest has stored in it, such as the keys of BitLocker, does not move with its disks: ${path} is not ${here}.`,
      {
        advice: placed`Halt the guest, copy that directory with its owner and mode from the machine where the guest ran, and type the command again. If the guest may begin with an empty TPM: \`${command('mkdir', '-p', path)}\`.`,
      },
    ),
  ];
}
