import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { oneAtATime } from '../../../src/system/one-at-a-time.ts';

/** Another test file may be building the same thing, on a busy machine. */
const patienceMs = 15 * 60_000;
/** Another working copy may still use a build with another key. */
const keptUnusedMs = 24 * 60 * 60_000;

export interface CachedBuild {
  /** One word: the beginning of the directory's name. */
  name: string;
  /** What the build is made of. If one part changes, it is built again. */
  key: readonly string[];
  /** Fills the directory. */
  build: (directory: string) => Promise<void>;
}

/** Where builds of the rigs stay from one run to the next: outside the working copy. It may be removed at any time. */
export function rigCacheDirectory(): string {
  const caches = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  return join(caches, 'vmferry', 'rigs');
}

/**
 * The directory that `build` filled, in this process or an earlier one. It appears whole or not at all. Only one process
 * builds it; others wait. Builds of the same name that nobody used for a day are removed.
 */
export async function cachedBuild({ name, key, build }: CachedBuild): Promise<string> {
  const directory = join(rigCacheDirectory(), `${name}-${digest(key)}`);
  if (await isUsable(directory)) return directory;
  const hadItsTurn = await oneAtATime(`rig ${rigCacheDirectory()} ${name}`, patienceMs, async () => {
    if (await isUsable(directory)) return;
    await mkdir(rigCacheDirectory(), { recursive: true });
    await removeOthers(name);
    const unfinished = await mkdtemp(join(rigCacheDirectory(), `.${name}-`));
    try {
      await build(unfinished);
      await chmod(unfinished, 0o755);
      await rename(unfinished, directory);
    } finally {
      await rm(unfinished, { recursive: true, force: true });
    }
  });
  if (!hadItsTurn)
    throw new Error(`another process has been building ${name} for ${patienceMs / 60_000} minutes`);
  return directory;
}

/** For keys: the content of files, each with its name. */
export function digestOfFiles(directory: string, names: readonly string[]): string {
  return digest(names.flatMap((name) => [name, readFileSync(join(directory, name), 'latin1')]));
}

function digest(parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
}

/** The time of the directory says when it was last used. */
async function isUsable(directory: string): Promise<boolean> {
  if (!existsSync(directory)) return false;
  const now = new Date();
  await utimes(directory, now, now);
  return true;
}

/** To be called by the only process that builds something of this name, so unfinished builds are of dead processes. */
async function removeOthers(name: string): Promise<void> {
  for (const entry of await readdir(rigCacheDirectory())) {
    const path = join(rigCacheDirectory(), entry);
    const isUnused = async () => Date.now() - (await stat(path)).mtimeMs > keptUnusedMs;
    if (entry.startsWith(`.${name}-`) || (entry.startsWith(`${name}-`) && (await isUnused())))
      await rm(path, { recursive: true, force: true });
  }
}
