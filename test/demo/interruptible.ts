import { spawn, type ChildProcess } from 'node:child_process';
import process from 'node:process';

const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** A person interrupted the demo. */
export class Interrupted extends Error {}

export interface CommandOptions {
  cwd: string;
  env: NodeJS.ProcessEnv;
}

/** Runs programs one after the other on this terminal, until a signal asks the demo to stop. */
export interface Runner extends Disposable {
  /** Returns the exit status. Throws Interrupted if a signal came meanwhile. */
  run(program: string, args: readonly string[], options: CommandOptions): Promise<number | null>;
  /** Throws Interrupted if a signal has come. */
  throwIfInterrupted(): void;
}

/**
 * A signal does not end this process, so that it can clean up. The running program gets the signal, too, and is waited
 * for, because it may have to bring a guest back.
 */
export function createRunner(): Runner {
  let interrupted = false;
  let running: ChildProcess | null = null;
  const onSignal = (name: NodeJS.Signals) => {
    interrupted = true;
    // On a terminal, Ctrl-C has already reached every program.
    if (name !== 'SIGINT' || !process.stdin.isTTY) running?.kill(name);
  };
  for (const name of stopSignals) process.on(name, onSignal);
  const throwIfInterrupted = () => {
    if (interrupted) throw new Interrupted('Interrupted.');
  };
  return {
    throwIfInterrupted,
    async run(program, args, options) {
      throwIfInterrupted();
      const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'], ...options });
      running = child;
      const exitStatus = await new Promise<number | null>((resolve, reject) => {
        child.on('error', reject).on('close', resolve);
      });
      running = null;
      throwIfInterrupted();
      return exitStatus;
    },
    [Symbol.dispose]() {
      for (const name of stopSignals) process.off(name, onSignal);
    },
  };
}
