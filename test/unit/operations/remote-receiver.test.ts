import { PassThrough } from 'node:stream';
import { afterEach, describe, expect, test } from '@jest/globals';
import { RemoteReceiver } from '../../../src/operations/remote-receiver.ts';
import { PROTOCOL_VERSION } from '../../../src/operations/wire.ts';
import type { RemoteProcess } from '../../../src/store/ssh-remote-process.ts';

const { signal } = new AbortController();
const ready = { type: 'ready', protocol: PROTOCOL_VERSION, version: '0.1.0' };

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
  const receiver = new RemoteReceiver(process, 'vmferry receive');
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
