import type { ReceiveDependencies } from '../../operations/receive/receive.ts';
import type { Command } from '../options/command.ts';

/** The receiver: `migrate` starts it on the new hardware. It speaks the protocol of doc/wire.md on stdin and stdout. */
export const receiveCommand: Command<ReceiveDependencies> = {
  usage: 'receive',
  summary: 'Internal: the receiver on the new hardware; migrate starts it over ssh (doc/wire.md)',
  internal: true,
  define: (parser) => parser,
  read:
    () =>
    async ({ dependencies, context, stdin, stdout }) => {
      const { receive } = await import('../../operations/receive/receive.ts');
      const write = (line: string) => {
        stdout.write(line);
      };
      try {
        await receive({ input: stdin, write }, dependencies, context);
      } finally {
        // Otherwise the process would live until the other side closes the connection.
        stdin.destroy();
      }
      return { record: { type: 'received' }, text: '' };
    },
};
