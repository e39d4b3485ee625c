import { closeSync, constants, openSync, readFileSync, readdirSync, rmSync, rmdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { errorCode } from '../../../system/error-code.ts';
import { isGuestName } from '../../definition.ts';

/** Where User Mode Linux guests of this machine are to be found, and the environment that they are started in. */
export interface UmlHost {
  environment: NodeJS.ProcessEnv;
  /** Holds one directory for each guest, named as the guest, with its `pid` file and its `mconsole` socket. */
  directory: string;
  /** The kernel must be told the directory: it is not the one that it would use. */
  directoryIsChosen: boolean;
}

/** `$UML_DIR`, else `~/.uml`. The kernel itself knows HOME, but not UML_DIR. */
export function umlHost(environment: NodeJS.ProcessEnv): UmlHost {
  const chosen = environment['UML_DIR'];
  const home = environment['HOME'];
  return {
    environment,
    directory: chosen ? resolve(chosen) : join(home || homedir(), '.uml'),
    directoryIsChosen: Boolean(chosen) || !home,
  };
}

export function socketPath(host: UmlHost, name: string): string {
  return join(host.directory, name, 'mconsole');
}

export function pidFilePath(host: UmlHost, name: string): string {
  return join(host.directory, name, 'pid');
}

/** The names under which guests run, or ran and left their directory behind. */
export function listUmids(host: UmlHost): string[] {
  try {
    return readdirSync(host.directory).filter(isGuestName).toSorted();
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** The pid that the guest wrote when it started; null when there is none. It may be another process's by now. */
export function readPidFile(host: UmlHost, name: string): number | null {
  try {
    const pid = Number.parseInt(readFileSync(pidFilePath(host, name), 'utf8'), 10);
    return pid > 0 ? pid : null;
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

/**
 * Removes what a guest that is gone left behind; the kernel itself does that only when it halts in order. Where others may write,
 * somebody may have put a link in the directory's place: what that leads to is not touched.
 */
export function removeUmidDirectory(host: UmlHost, name: string): void {
  const directory = join(host.directory, name);
  try {
    const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    try {
      for (const file of ['pid', 'mconsole']) rmSync(`/proc/self/fd/${fd}/${file}`, { force: true });
    } finally {
      closeSync(fd);
    }
    rmdirSync(directory);
  } catch (error) {
    // ENOTEMPTY: what else is in there is not ours; the kernel copes with it or says so. ELOOP: a link.
    if (!isMissing(error) && !['ENOTEMPTY', 'ELOOP'].includes(errorCode(error))) throw error;
  }
}

/** ENOTDIR: a file where a guest's directory would be. EACCES: another user's. */
function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'EACCES'].includes(errorCode(error));
}
