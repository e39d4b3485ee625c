import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where a program of that name would be: in the directories of PATH, in their order. */
export function pathsOfProgram(name: string, environment: NodeJS.ProcessEnv): string[] {
  const directories = (environment['PATH'] ?? '/usr/local/bin:/usr/bin:/bin').split(delimiter);
  return directories.map((directory) => join(directory, name));
}

/** The path of that program on the PATH; null when there is none. Starts nothing. */
export function findProgramOnPath(name: string, environment: NodeJS.ProcessEnv): string | null {
  return pathsOfProgram(name, environment).find(isExecutableFile) ?? null;
}

export function isExecutableFile(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
