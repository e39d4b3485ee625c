import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

/** Sends one command to QEMU's QMP socket and returns what it answers. Throws QEMU's own message when it refuses. */
export type Qmp = (command: string, commandArguments?: object) => Promise<unknown>;

interface Answer {
  return?: unknown;
  error?: { desc: string };
}

/** Connects for the time of the work. */
export async function withQmp<Result>(
  socketFile: string,
  work: (qmp: Qmp) => Promise<Result>,
): Promise<Result> {
  const socket = connect(socketFile);
  try {
    await once(socket, 'connect');
    const lines = createInterface(socket)[Symbol.asyncIterator]();
    const nextAnswer = async (): Promise<Answer> => {
      for (;;) {
        const line = await lines.next();
        if (line.done === true) throw new Error('QEMU closed its QMP socket');
        const message = JSON.parse(line.value) as Answer;
        // Others are the greeting, and events.
        if ('return' in message || 'error' in message) return message;
      }
    };
    const qmp: Qmp = async (command, commandArguments = {}) => {
      socket.write(`${JSON.stringify({ execute: command, arguments: commandArguments })}\n`);
      const answer = await nextAnswer();
      if (answer.error !== undefined) throw new Error(`${command}: ${answer.error.desc}`);
      return answer.return;
    };
    await qmp('qmp_capabilities');
    return await work(qmp);
  } finally {
    socket.destroy();
  }
}
