import { PassThrough } from 'node:stream';
import { afterEach, describe, expect, test } from '@jest/globals';
import { Failure } from '../../../src/failure.ts';
import { RemoteReceiver } from '../../../src/operations/remote-receiver.ts';
import { PROTOCOL_VERSION, toWireFailure } from '../../../src/operations/wire.ts';
import { here, placed, vmferry } from '../../../src/placed-text.ts';
import type { RemoteProcess } from '../../../src/store/ssh-remote-process.ts';

const { signal } = new AbortController();
const ready = { type: 'ready', protocol: PROTOCOL_VERSION, version: '0.1.0' };

const machine = { name: 'root@new', ssh: 'ssh root@new', vmferry: 'sudo vmferry' };

let started: RemoteReceiver[] = [];
afterEach(async () => {
  for (const receiver of started) await receiver[Symbol.asyncDispose]();
  started = [];
});

/** A receiver that says what it is told to say. */
function start() {
  const stdout = new PassThrough();
  const process: RemoteProcess = {
    stdin: { write: () => Promise.resolve(), end: () => undefined },
    stdout,
    stderrText: () => '',
    exited: Promise.resolve({ exitStatus: 0, signal: null }),
    kill: () => stdout.end(),
  };
  const receiver = new RemoteReceiver(process, machine);
  started.push(receiver);
  return { receiver, say: (message: object) => stdout.write(`${JSON.stringify(message)}\n`) };
}

/** All that was said before has been heard. */
async function heard(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
}

describe('the greeting of a receiver', () => {
  test('is heard by who waits for it', async () => {
    const { receiver, say } = start();
    const waiting = receiver.ready(signal);
    say(ready);
    await expect(waiting).resolves.toBeUndefined();
  });

  test('may come before anybody waits for it', async () => {
    const { receiver, say } = start();
    say(ready);
    await heard();
    expect(receiver.failed.aborted).toBe(false);
    await expect(receiver.ready(signal)).resolves.toBeUndefined();
  });

  test('comes once', async () => {
    const { receiver, say } = start();
    say(ready);
    say(ready);
    await heard();
    await expect(receiver.ready(signal)).rejects.toMatchObject({ code: 'protocol-violation' });
  });

  test('of another version is refused, early or late', async () => {
    for (const isEarly of [true, false]) {
      const { receiver, say } = start();
      const greeting = { ...ready, protocol: PROTOCOL_VERSION + 1 };
      if (isEarly) say(greeting);
      await heard();
      const waiting = receiver.ready(signal);
      if (!isEarly) say(greeting);
      await expect(waiting).rejects.toMatchObject({ code: 'receiver-incompatible' });
    }
  });
});

describe('what a receiver says is wrong', () => {
  test('names its machine, and its commands are those to type here', async () => {
    const { receiver, say } = start();
    say(ready);
    await receiver.ready(signal);
    const failure = new Failure(
      'guest-already-running',
      placed`A guest named ${'web'} runs ${here} already.`,
      {
        advice: placed`Halt it: ${vmferry('halt', 'web')}`,
      },
    );
    say({ type: 'failed', ...toWireFailure(failure) });
    await heard();
    expect(receiver.failed.reason).toMatchObject({
      code: 'guest-already-running',
      message: 'A guest named web runs on root@new already.',
      advice: 'Halt it: ssh root@new sudo vmferry halt web',
    });
  });

  test('names its machine in warnings, too', async () => {
    const { receiver, say } = start();
    say(ready);
    await receiver.ready(signal);
    const boot = { type: 'boot', guest: {}, timeoutMs: 1000 } as const;
    const answer = receiver.request(boot, 'up', signal);
    say({ type: 'up', pid: 1, consoleLog: '/log', warnings: ['It was started once more.'] });
    expect((await answer).warnings).toEqual(['On root@new: It was started once more.']);
  });
});
