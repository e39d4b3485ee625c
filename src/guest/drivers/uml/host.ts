import { closeSync, constants, openSync, readFileSync, readdirSync, rmSync, rmdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { errorCode } from '../../../system/error-code.ts';
import { isGuestName } from '../../definition.ts';

/** Where the User Mode Linux guests of this machine are found, and the environment that they are started with. */
export interface UmlHost {
  environment: NodeJS.ProcessEnv;
  /** Contains a directory for each guest, with the guest's name, its `pid` file and its `mconsole` socket. */
  directory: string;
  /** The kernel must be told the directory, because it would use another one. */
  directoryIsChosen: boolean;
}

/** `$UML_DIR`, otherwise `~/.uml`. The kernel reads HOME, but not UML_DIR. */
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

/** The names of guests that run, and of guests that ended and left their directory behind. */
export function listUmids(host: UmlHost): string[] {
  try {
    return readdirSync(host.directory).filter(isGuestName).toSorted();
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** The pid that the guest wrote when it started; null when there is none. It may belong to another process now. */
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
 * Removes the directory that a guest left behind; a kernel removes it only when it halts cleanly. Somebody else
 * may have put a link in its place: the link's target is not touched.
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
    // ENOTEMPTY: other files in there are not ours; the kernel copes with them or says so. ELOOP: a link.
    if (!isMissing(error) && !['ENOTEMPTY', 'ELOOP'].includes(errorCode(error))) throw error;
  }
}

/** ENOTDIR: a file lies where a guest's directory would be. EACCES: it is another user's. */
function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'EACCES'].includes(errorCode(error));
}
