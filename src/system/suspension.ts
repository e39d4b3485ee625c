import process from 'node:process';

/**
 * Until disposed of, Ctrl-Z (SIGTSTP) does not stop this process, and calls `onRefused` instead. Other processes of its
 * group, such as the proxy of its connection, were stopped, too; they are made to continue.
 */
export function refuseSuspension(onRefused: () => void): Disposable {
  const onSignal = () => {
    process.kill(0, 'SIGCONT');
    onRefused();
  };
  process.on('SIGTSTP', onSignal);
  return { [Symbol.dispose]: () => void process.off('SIGTSTP', onSignal) };
}
