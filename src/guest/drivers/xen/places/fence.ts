import { existsSync, lstatSync, readFileSync } from 'node:fs';
import { rename, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../../../../failure.ts';
import { here, placed } from '../../../../placed-text.ts';
import { makeDirectories } from '../../../../system/make-directories.ts';
import { syncDirectory } from '../../../../system/sync-directory.ts';
import type { XenHost } from '../host/host.ts';
import { listAutoEntries, listConfigFiles } from './config-files.ts';
import { changing, writeXenFile } from './write-file.ts';

const absolute = z.string().max(4096).startsWith('/');
const fenceSchema = z.strictObject({
  version: z.literal(1),
  moves: z.array(z.strictObject({ from: absolute, to: absolute })).max(256),
});
type Fence = z.infer<typeof fenceSchema>;

/**
 * Puts a guest's files out of the way: out of the directory of xendomains, whose script starts every file in it that does not
 * begin with a dot, and away from the path that people give to `xl create`. Renaming keeps links, hard links, owners and times as
 * they are. What is to be done is written down first, so that a fence that was cut short is finished by the next call.
 */
export async function fenceXen(host: XenHost, name: string): Promise<string> {
  const journal = journalOf(host, name);
  const noted = readJournal(journal)?.moves ?? [];
  const isNoted = ({ from }: { from: string }): boolean => noted.some((move) => move.from === from);
  const added = plan(host, name, noted.length).filter((move) => !isNoted(move));
  const fence: Fence = { version: 1, moves: [...noted, ...added] };
  const text = JSON.stringify(fence);
  await writeXenFile(journal, `${text}\n`);
  for (const { from, to } of fence.moves) await move(from, to);
  return text;
}

/** Puts everything back to where it was. May be called again after it was cut short. */
export async function unfenceXen(host: XenHost, name: string, fence: string): Promise<void> {
  const { success, data } = fenceSchema.safeParse(parseJson(fence));
  if (!success)
    throw new Failure(
      'guest-unsupported',
      placed`The note of where the files of ${name} were ${here} is damaged.`,
      {
        advice: placed`Look into ${host.fencedDirectory} ${here}, and put the files back by hand.`,
      },
    );
  // The links last: a link that is there finds its file.
  for (const { from, to } of data.moves.toReversed()) await move(to, from);
  await changing(journalOf(host, name), () => rm(journalOf(host, name), { force: true }));
  // Not empty: something else was put there.
  await rmdir(join(host.fencedDirectory, name)).catch(() => undefined);
}

/** Entries of xendomains first: from then on nothing starts the guest by itself. */
function plan(host: XenHost, name: string, count: number): Fence['moves'] {
  const entries = listAutoEntries(host)
    .filter(({ file }) => file.name === name)
    .map(({ entry }) => entry);
  const files = listConfigFiles(host)
    .filter((file) => file.name === name && !entries.includes(file.path))
    .map(({ path }) => path);
  return [...entries, ...files].map((from, index) => ({
    from,
    to: fencedPath(host, name, from, count + index),
  }));
}

/** A file outside of Xen's directory may be in another file system: it is hidden beside its place. */
function fencedPath(host: XenHost, name: string, from: string, index: number): string {
  const isInside = from.startsWith(`${host.configDirectory}/`);
  if (isInside) return join(host.fencedDirectory, name, `${index}.${basename(from)}`);
  return join(dirname(from), `.${basename(from)}.vmferry-fenced`);
}

function journalOf(host: XenHost, name: string): string {
  return join(host.fencedDirectory, `${name}.json`);
}

function readJournal(path: string): Fence | null {
  try {
    return fenceSchema.parse(parseJson(readFileSync(path, 'utf8')));
  } catch {
    return null;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}

/** Does nothing if it was done already. */
async function move(from: string, to: string): Promise<void> {
  if (!isThere(from)) return;
  if (isThere(to))
    throw new Failure(
      'target-exists',
      placed`${from} would be put at ${to}, which is there ${here} already.`,
      {
        advice: placed`Look at both ${here}, and remove the one that is not needed.`,
      },
    );
  await changing(from, async () => {
    await makeDirectories(dirname(to), 0o700);
    await rename(from, to);
    await syncDirectory(dirname(to));
    await syncDirectory(dirname(from));
  });
}

/** Also true for a link to nothing. */
function isThere(path: string): boolean {
  if (existsSync(path)) return true;
  try {
    lstatSync(path);
    return true;
  } catch {
    return false;
  }
}
