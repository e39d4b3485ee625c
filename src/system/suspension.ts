import process from 'node:process';

/**
 * Until it is disposed of, Ctrl-Z (SIGTSTP) does not stop this process; `onRefused` is called instead. The processes that
 * it was started with, a proxy that its connection goes through among them, were told to stop as well: they go on.
 */
export function refuseSuspension(onRefused: () => void): Disposable {
  const onSignal = () => {
    process.kill(0, 'SIGCONT');
    onRefused();
  };
  process.on('SIGTSTP', onSignal);
  return { [Symbol.dispose]: () => void process.off('SIGTSTP', onSignal) };
}
