import { readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { makeDirectories } from '../../../../system/make-directories.ts';
import { replaceFile } from '../../../../system/replace-file.ts';
import { runtimeDirectory, type QemuHost } from '../launch/host.ts';
import type { RunningGuest } from '../../../guest-driver.ts';
import type { DiskView } from './disk-view.ts';

/** What vmferry has inserted into a run of a guest, for the case that it dies before it takes it out. */
export interface ViewNote {
  /** `GuestIdentity.id`. */
  run: string;
  views: readonly DiskView[];
  /** Has the mount points. */
  directory: string;
}

const viewNote = z.strictObject({
  run: z.string(),
  directory: z.string(),
  views: z.array(
    z.strictObject({
      node: z.string(),
      device: z.string(),
      sizeBytes: z.number(),
      id: z.string(),
      fleece: z.string(),
      mountpoint: z.string(),
    }),
  ),
});

function notePath(host: QemuHost, name: string): string {
  return join(runtimeDirectory(host, name), 'view.json');
}

export async function writeNote(host: QemuHost, name: string, note: ViewNote): Promise<void> {
  const path = notePath(host, name);
  await makeDirectories(dirname(path), 0o700);
  await replaceFile(path, `${JSON.stringify(note)}\n`, 0o600);
}

/** Null when there is none, or none that can be read. */
export async function readNote(host: QemuHost, { definition }: RunningGuest): Promise<ViewNote | null> {
  try {
    const text = await readFile(notePath(host, definition.name), 'utf8');
    return viewNote.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}

export async function removeNote(host: QemuHost, name: string): Promise<void> {
  await rm(notePath(host, name), { force: true });
}
