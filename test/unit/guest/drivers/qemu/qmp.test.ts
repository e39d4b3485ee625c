import { afterEach, describe, expect, test } from '@jest/globals';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { GuestAgent } from '../../../../../src/guest/drivers/qemu/qmp/guest-agent.ts';
import { Qmp, QmpError } from '../../../../../src/guest/drivers/qemu/qmp/qmp.ts';
import { scratchDirectory } from '../../../../support/images/images.ts';

const greeting = '{"QMP": {"version": {}, "capabilities": []}}\n';

/* Servers that answer in ways of their own. How a real QEMU answers is tested with one. */
const servers: Server[] = [];
const scratch = scratchDirectory();

async function serve(onConnection: (socket: Socket) => void): Promise<string> {
  const path = join(scratch.path, `socket-${servers.length}`);
  const server = createServer((socket) => {
    socket.on('error', () => {});
    onConnection(socket);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return path;
}

/** Answers each line of a client with what `answer` gives for it. */
const answering = (first: string, answer: (line: string) => string) => (socket: Socket) => {
  socket.write(first);
  socket.on('data', (data) => {
    for (const line of data
      .toString('latin1')
      .split('\n')
      .filter((one) => one !== ''))
      socket.write(answer(line), 'latin1');
  });
};
const idOf = (line: string) => (JSON.parse(line.replaceAll('\u00ff', '')) as { id: string }).id;

afterEach(() => {
  for (const server of servers) server.close();
});

const refusal = async (path: string) => {
  try {
    await Qmp.connect(path);
  } catch (error) {
    if (error instanceof QmpError) return error.message;
    throw error;
  }
  return 'connected';
};

describe('a QMP monitor', () => {
  test('answers commands one at a time, and tells of events', async () => {
    const path = await serve(
      answering(greeting, (line) => {
        const event = '{"event": "STOP", "data": {}, "timestamp": {}}\n';
        return `${event}{"return": {"said": ${JSON.stringify(line.includes('query'))}}, "id": "${idOf(line)}"}\n`;
      }),
    );
    using qmp = await Qmp.connect(path);
    const answers = await Promise.all([qmp.execute('query-status'), qmp.execute('stop')]);
    expect(answers).toEqual([{ said: true }, { said: false }]);
    expect(qmp.findEvent(({ event }) => event === 'STOP')).not.toBeNull();
    expect(qmp.findEvent(({ event }) => event === 'RESET')).toBeNull();
  });

  test('that refuses a command says why', async () => {
    const path = await serve(
      answering(greeting, (line) =>
        line.includes('qmp_capabilities')
          ? `{"return": {}, "id": "${idOf(line)}"}\n`
          : `{"id": "${idOf(line)}", "error": {"class": "CommandNotFound", "desc": "no such command"}}\n`,
      ),
    );
    using qmp = await Qmp.connect(path);
    await expect(qmp.execute('set-action')).rejects.toThrow('no such command');
    expect(await qmp.tryExecute('set-action')).toBeNull();
  });

  test('for people is not taken for one', async () => {
    const path = await serve((socket) => socket.write('QEMU 7.2.22 monitor - type help\r\n(qemu) '));
    expect(await refusal(path)).toBe('it does not speak QMP');
  });

  test('that is silent, because another program is connected, is told apart', async () => {
    const path = await serve(() => {});
    expect(await refusal(path)).toContain('maybe another program is connected');
  });

  test('that sends a line without end does not fill the memory', async () => {
    const path = await serve((socket) => {
      const part = Buffer.alloc(2 ** 20, 'x');
      const more = (): void => {
        if (!socket.destroyed) socket.write(part, () => setImmediate(more));
      };
      more();
    });
    expect(await refusal(path)).toContain('a line without end');
  });

  test('that ends in the middle of a command is reported', async () => {
    const path = await serve((socket) => {
      socket.write(greeting);
      socket.on('data', (data) => {
        const line = data.toString();
        if (line.includes('qmp_capabilities')) socket.write(`{"return": {}, "id": "${idOf(line)}"}\n`);
        else socket.end('{"return": ');
      });
    });
    using qmp = await Qmp.connect(path);
    await expect(qmp.execute('query-block')).rejects.toThrow('the connection to QEMU ended');
    await expect(qmp.execute('query-block')).rejects.toThrow('the connection to QEMU ended');
  });

  test('an answer that comes too late is not taken for that of the next command', async () => {
    const path = await serve(
      answering(greeting, (line) =>
        line.includes('qmp_capabilities')
          ? `{"return": {}, "id": "${idOf(line)}"}\n`
          : '{"return": 1, "id": "other"}\n',
      ),
    );
    using qmp = await Qmp.connect(path);
    await expect(qmp.execute('query-status', {}, 100)).rejects.toThrow('did not answer query-status');
    await expect(qmp.execute('query-status')).rejects.toThrow('the connection to QEMU ended');
  });

  test('that is not there is reported', async () => {
    expect(await refusal(join(scratch.path, 'nothing'))).toBe('ENOENT');
  });
});

describe('the agent of a guest', () => {
  /** As qemu-ga does: an error for what stood in the line before, and 0xFF before the answer to the number. */
  const agent = (left: string) =>
    answering(left, (line) => {
      const { execute, arguments: args } = JSON.parse(line.replaceAll('\u00ff', '')) as {
        execute: string;
        arguments: { id?: number };
      };
      const error = '{"error": {"class": "GenericError", "desc": "JSON parse error, stray input"}}\n';
      if (execute === 'guest-sync-delimited') return `${error}\u00ff{"return": ${args.id}}\n`;
      return execute === 'guest-ping' ? '{"return": {}}\n' : error;
    });

  test.each(['', '{"return": "left by somebody else"}\n', '{"return": '])(
    'is understood after %j and its own error',
    async (left) => {
      using connected = await GuestAgent.connect(await serve(agent(left)));
      expect(connected).not.toBeNull();
      expect(await connected?.execute('guest-ping', {}, 1000)).toEqual({});
      await expect(connected?.execute('guest-frobnicate', {}, 1000)).rejects.toThrow('stray input');
    },
  );

  test('that does not run is not waited for long', async () => {
    expect(await GuestAgent.connect(await serve(() => {}))).toBeNull();
    expect(await GuestAgent.connect(join(scratch.path, 'nothing'))).toBeNull();
  });

  test('that does not answer a command is reported', async () => {
    const path = await serve((socket) => {
      socket.on('data', (data) => {
        const id = /"id":(\d+)/.exec(data.toString('latin1'))?.[1];
        if (id !== undefined) socket.write(`{"return": ${id}}\n`);
      });
    });
    using connected = await GuestAgent.connect(path);
    await expect(connected?.execute('guest-fsfreeze-freeze', {}, 100)).rejects.toThrow('did not answer');
  });
});
