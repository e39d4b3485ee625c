import type { ReceiveDependencies } from '../../operations/receive/receive.ts';
import type { Command } from '../options/command.ts';

/** What `migrate` starts on the new hardware; it speaks doc/wire.md on stdin and stdout. */
export const receiveCommand: Command<ReceiveDependencies> = {
  usage: 'receive',
  summary: 'Internal: the side of a move on the new hardware, started over ssh by migrate (doc/wire.md)',
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
        // Else the process would live on until the other side closes the line.
        stdin.destroy();
      }
      return { record: { type: 'received' }, text: '' };
    },
};
