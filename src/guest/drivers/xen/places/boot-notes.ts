import { createHash } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../../../../failure.ts';
import type { XenHost } from '../host/host.ts';
import { writeXenFile } from './write-file.ts';

type Notes = Pick<XenHost, 'runDirectory'>;

/** Which kernel booted a small guest here. Lost when the machine starts again, maybe with another Xen. */
export interface Booted {
  kernel: string;
  virtualization: string;
  memoryBytes: number;
}

/** Whether the kernel has booted so since this machine was started, and has not been replaced since. */
export function hasBooted(what: Booted, notes: Notes): boolean {
  return existsSync(noteOf(what, notes).path);
}

/** If the note cannot be written, nothing is lost: the kernel is only tried again. */
export async function noteBooted(what: Booted, notes: Notes): Promise<void> {
  const { path, text } = noteOf(what, notes);
  await writeXenFile(path, text).catch((error: unknown) => {
    if (!(error instanceof Failure)) throw error;
  });
}

function noteOf({ kernel, virtualization, memoryBytes }: Booted, { runDirectory }: Notes) {
  const { dev, ino, size, mtimeNs } = statSync(kernel, { bigint: true });
  const text = `${JSON.stringify([kernel, virtualization, memoryBytes, ...[dev, ino, size, mtimeNs].map(String)])}\n`;
  const name = createHash('sha256').update(text).digest('hex');
  return { path: join(runDirectory, 'booted', name), text };
}
