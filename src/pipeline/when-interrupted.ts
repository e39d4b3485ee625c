import type { Context } from '../events.ts';

/**
 * Until disposed of, reports what becomes of the work if it is interrupted.
 * @param fate called at that moment
 */
export function tellWhenInterrupted({ signal, report }: Context, fate: () => string): Disposable {
  const tell = () => report({ type: 'notice', message: fate() });
  signal.addEventListener('abort', tell, { once: true });
  return { [Symbol.dispose]: () => signal.removeEventListener('abort', tell) };
}
