import { existsSync, statSync } from 'node:fs';
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

/** Null for a guest without an emulated TPM, and for one without a UUID, which was never a guest of libvirt. */
function tpmStatePath(
  text: string,
  { uuid }: Pick<GuestDefinition, 'uuid'>,
  directory: string,
): string | null {
  const tpm = emulatedTpm(text);
  if (tpm === undefined || uuid === undefined) return null;
  return attributeOf(find(tpm, 'source'), 'path') ?? join(directory, uuid);
}

/**
 * For a guest that libvirt does not know yet: with no state there, it would begin with an empty TPM, and what the guest has sealed with the old one
 * could not be opened.
 */
export function missingTpmState(
  text: string,
  guest: Pick<GuestDefinition, 'name' | 'uuid'>,
  directory: string,
): Failure[] {
  const path = tpmStatePath(text, guest, directory);
  if (path === null || existsSync(path)) return [];
  const { name } = guest;
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

/**
 * For a guest that comes to this machine: its disks come as they are now, and its TPM goes on with the state that is here. Nothing shows whether the
 * guest has changed that elsewhere since. Null without an emulated TPM, and without its state.
 */
export function tpmStateNotice(
  text: string,
  guest: Pick<GuestDefinition, 'name' | 'uuid'>,
  directory: string,
): string | null {
  const path = tpmStatePath(text, guest, directory);
  if (path === null || !existsSync(path)) return null;
  const { name } = guest;
  const changedMs = lastChangeMs(path);
  if (changedMs === null)
    return `The emulated TPM of ${name} will begin empty: on the machine where ${name} is to run, ${path} has no state of a TPM.`;
  const changedAt = new Date(changedMs).toISOString().slice(0, 19).replace('T', ' ');
  return `The state of the emulated TPM of ${name} is used as it is on the machine where ${name} is to run: ${path}, last changed ${changedAt} UTC. If ${name} ran elsewhere after that, halt it and copy the state again before it moves: what it has stored since is not there.`;
}

/** swtpm replaces these files when the guest stores something. libvirt has a directory below its own for each version of the TPM. */
function lastChangeMs(path: string): number | null {
  const files = ['', 'tpm2', 'tpm1.2'].flatMap((version) =>
    ['tpm2-00.permall', 'tpm-00.permall'].map((file) => join(path, version, file)),
  );
  const times = [path, ...files].flatMap((file) => {
    const found = statSync(file, { throwIfNoEntry: false });
    return found?.isFile() === true ? [found.mtimeMs] : [];
  });
  return times.length === 0 ? null : Math.max(...times);
}
