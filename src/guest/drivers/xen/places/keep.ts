import { existsSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { Failure } from '../../../../failure.ts';
import { here, placed } from '../../../../placed-text.ts';
import type { GuestDefinition } from '../../../definition.ts';
import type { XenHost } from '../host/host.ts';
import { writeXenText } from '../config/whole-text.ts';
import { setXenAutostart, usualPath } from './autostart.ts';
import { listAutoEntries, listConfigFiles } from './config-files.ts';
import { changing, writeXenFile } from './write-file.ts';

/** Writes the guest's configuration to its usual path, and has it start with the machine if it should. See `KeepingDriver.keep`. */
export async function keepXen(host: XenHost, definition: GuestDefinition): Promise<void> {
  const { name } = definition;
  const path = usualPath(host, name);
  const text = writeXenText(definition);
  const known = listConfigFiles(host).find((file) => file.name === name);
  if (known !== undefined && known.text !== text) throw knownAlready(name, known.path);
  if (known === undefined) {
    if (existsSync(path) && readFileSync(path, 'utf8') !== text)
      throw new Failure('target-exists', placed`The file ${path} is there ${here} already.`);
    await writeXenFile(path, text);
  }
  await setXenAutostart(host, name, definition.autostart === true);
}

/** Another guest of that name has a file. */
export function knownAlready(name: string, path: string): Failure {
  return new Failure('target-exists', placed`A guest named ${name} is known ${here} already: ${path}.`, {
    advice: placed`Rename that one, or remove its file, if it is not needed ${here}.`,
  });
}

/** Removes the guest's files in Xen's directories. A file elsewhere, which only a link of xendomains names, stays. */
export async function dropXen(host: XenHost, name: string): Promise<void> {
  for (const { entry, file } of listAutoEntries(host))
    if (file.name === name) await changing(entry, () => rm(entry, { force: true }));
  for (const file of listConfigFiles(host))
    if (file.name === name) await changing(file.path, () => rm(file.path, { force: true }));
}
