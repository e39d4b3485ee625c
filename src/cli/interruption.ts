import { setMaxListeners } from 'node:events';
import { asFailure, Failure } from '../failure.ts';

/** Where signals come from: `on` and `off` of Node's `process`. */
export interface SignalSource {
  on(name: string, listener: (...args: unknown[]) => void): unknown;
  off(name: string, listener: (...args: unknown[]) => void): unknown;
}

/** SIGHUP comes when the terminal or ssh session closes. */
const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Until disposed, a signal or an uncaught error aborts the operation. */
export interface Interruption extends Disposable {
  signal: AbortSignal;
}

/**
 * Turns signals that ask the process to stop into an abort with Failure `interrupted`. The operation then undoes what it
 * did, and the process ends. Another Ctrl-C does not hurry it, because a guest may be down. An uncaught error aborts in
 * the same way, so that a bug does not leave a guest halted.
 */
export function watchForInterruption(process: SignalSource, notice: (text: string) => void): Interruption {
  const controller = new AbortController();
  // Each stage of a move adds a listener: many listeners are no leak.
  setMaxListeners(0, controller.signal);

  const onSignal = (name: unknown) => {
    if (controller.signal.aborted) {
      notice('Still stopping. Please wait.');
      return;
    }
    notice('Stopping. Please wait: the result follows.');
    controller.abort(new Failure('interrupted', `Interrupted (${String(name)}).`));
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
