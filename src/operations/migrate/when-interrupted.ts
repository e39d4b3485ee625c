import type { Context } from '../../events.ts';

/**
 * Says what becomes of the work when it is told to stop, by Ctrl-C for one; until it is disposed of.
 * @param fate asked for at that moment
 */
export function tellWhenInterrupted({ signal, report }: Context, fate: () => string): Disposable {
  const tell = () => report({ type: 'notice', message: fate() });
  signal.addEventListener('abort', tell, { once: true });
  return { [Symbol.dispose]: () => signal.removeEventListener('abort', tell) };
}
