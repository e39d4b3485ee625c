import { dirname } from 'node:path';
import { Failure } from '../../failure.ts';
import { startDetached, type DetachedProcess } from '../../system/detached-process.ts';
import { errorCode } from '../../system/error-code.ts';
import { makeDirectories } from '../../system/make-directories.ts';
import { notKept } from '../../system/state-file.ts';

export interface GuestProgram {
  program: string;
  args: readonly string[];
  /** What it writes is appended to this file. */
  consoleLog: string;
  environment: NodeJS.ProcessEnv;
}

/** Makes the directory of the guest's console log. Throws as `writeStateFile` does. */
export async function makeConsoleDirectory(guest: string, consoleLog: string): Promise<void> {
  await makeDirectories(dirname(consoleLog), 0o700).catch((error: unknown) => {
    throw consoleNotKept(guest, consoleLog, error);
  });
}

/** Starts the program that is the guest, detached from this process. Throws Failure `start-failed`. */
export async function startProcess(
  guest: string,
  { program, args, consoleLog, environment }: GuestProgram,
): Promise<DetachedProcess> {
  try {
    return await startDetached(program, args, {
      outputFile: consoleLog,
      workingDirectory: '/',
      env: environment,
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).path === consoleLog) throw consoleNotKept(guest, consoleLog, error);
    const message = `${program} could not be started for ${guest}: ${errorCode(error)}.`;
    throw new Failure('start-failed', message, { cause: error });
  }
}

function consoleNotKept(guest: string, consoleLog: string, cause: unknown): Failure {
  return notKept(`The console of ${guest}`, dirname(consoleLog), cause);
}
