import { setMaxListeners } from 'node:events';
import { asFailure, Failure } from '../failure.ts';

/** The process, as far as it is told to stop: `on` and `off` of Node's `process`. */
export interface SignalSource {
  on(name: string, listener: (...args: unknown[]) => void): unknown;
  off(name: string, listener: (...args: unknown[]) => void): unknown;
}

/** SIGHUP comes when the terminal or the ssh session that this runs in goes away. */
const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** As long as it is not disposed, a signal or an error that nobody caught aborts the operation. */
export interface Interruption extends Disposable {
  signal: AbortSignal;
}

/**
 * Turns the signals that ask the process to stop into an abort with Failure `interrupted`: the operation undoes what
 * it did, and only then the process ends. Another Ctrl-C does not hurry it, for a guest may be down meanwhile. An
 * error that nobody caught aborts in the same way, so that a defect leaves no guest halted either.
 */
export function watchForInterruption(process: SignalSource, notice: (text: string) => void): Interruption {
  const controller = new AbortController();
  // Each stage of a move listens on it; that many are no leak.
  setMaxListeners(0, controller.signal);

  const onSignal = (name: unknown) => {
    if (controller.signal.aborted) {
      notice('Still stopping. It ends by itself; please wait.');
      return;
    }
    notice('Stopping. Please wait: it is said below how it ends.');
    controller.abort(new Failure('interrupted', `It was interrupted (${String(name)}).`));
  };
  const onUncaught = (error: unknown) => {
    if (controller.signal.aborted) notice(`During clean-up: ${asFailure(error).message}`);
    else controller.abort(asFailure(error));
  };

  for (const name of stopSignals) process.on(name, onSignal);
  process.on('uncaughtException', onUncaught);
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      for (const name of stopSignals) process.off(name, onSignal);
      process.off('uncaughtException', onUncaught);
    },
  };
}
