import { PassThrough } from 'node:stream';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { Failure, toFailureParts } from '../../../src/failure.ts';
import { RemoteReceiver } from '../../../src/wire/remote-receiver.ts';
import { STEP_LIMITS_MS } from '../../../src/wire/step-limits.ts';
import { PROTOCOL_VERSION, SILENCE_LIMIT_MS } from '../../../src/wire/messages.ts';
import { here, placed, vmferry } from '../../../src/placed-text.ts';
import type { RemoteProcess } from '../../../src/ssh/remote-process.ts';

const { signal } = new AbortController();
const ready = { type: 'ready', protocol: PROTOCOL_VERSION, version: '0.1.0' };

const machine = { name: 'root@new', ssh: 'ssh root@new', vmferry: 'sudo vmferry' };

let started: RemoteReceiver[] = [];
/** Timers that repeat a message. */
const talking: NodeJS.Timeout[] = [];
afterEach(async () => {
  for (const receiver of started) await receiver[Symbol.asyncDispose]();
  started = [];
  talking.splice(0).forEach(clearInterval);
});

/** A receiver whose messages the test chooses. */
function start(limitsMs = STEP_LIMITS_MS) {
  const stdout = new PassThrough();
  const process: RemoteProcess = {
    stdin: { write: () => Promise.resolve(), end: () => undefined },
    stdout,
    stderrText: () => '',
    exited: Promise.resolve({ exitStatus: 0, signal: null }),
    kill: () => stdout.end(),
  };
  const receiver = new RemoteReceiver(process, machine, limitsMs);
  started.push(receiver);
  return { receiver, say: (message: object) => stdout.write(`${JSON.stringify(message)}\n`) };
}

/** Waits until all earlier messages were read. */
async function heard(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
}

describe('the greeting of a receiver', () => {
  test('ends the wait for the greeting', async () => {
    const { receiver, say } = start();
    const waiting = receiver.ready(signal);
    say(ready);
    await expect(waiting).resolves.toBeUndefined();
  });

  test('may come before it is awaited', async () => {
    const { receiver, say } = start();
    say(ready);
    await heard();
    expect(receiver.failed.aborted).toBe(false);
    await expect(receiver.ready(signal)).resolves.toBeUndefined();
  });

  test('may take longer than a line may be silent afterwards', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick'] });
    try {
      const { receiver, say } = start();
      jest.advanceTimersByTime(SILENCE_LIMIT_MS + 1000);
      expect(receiver.failed.aborted).toBe(false);
      say(ready);
      await heard();
      jest.advanceTimersByTime(SILENCE_LIMIT_MS - 1000);
      expect(receiver.failed.aborted).toBe(false);
      jest.advanceTimersByTime(2000);
      expect(receiver.failed.reason).toMatchObject({ code: 'connection-lost' });
    } finally {
      jest.useRealTimers();
    }
  });

  test('is a protocol violation if it is repeated', async () => {
    const { receiver, say } = start();
    say(ready);
    say(ready);
    await heard();
    await expect(receiver.ready(signal)).rejects.toMatchObject({ code: 'protocol-violation' });
  });

  test('of another version is refused, before or during the wait', async () => {
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

describe('a failure or a warning of a receiver', () => {
  test('names the receiver’s machine, and gives commands to type here', async () => {
    const { receiver, say } = start();
    say(ready);
    await receiver.ready(signal);
    const failure = new Failure(
      'guest-already-running',
      placed`A guest named ${'web'} runs ${here} already.`,
      {
        advice: placed`Halt it: ${vmferry('halt', 'web')}`,
        transient: true,
      },
    );
    say({ type: 'failed', ...toFailureParts(failure) });
    await heard();
    expect(receiver.failed.reason).toMatchObject({
      code: 'guest-already-running',
      message: 'A guest named web runs on root@new already.',
      advice: 'Halt it: ssh root@new sudo vmferry halt web',
      transient: true,
    });
  });

  test('names the receiver’s machine in warnings, too, and keeps their codes', async () => {
    const { receiver, say } = start();
    say(ready);
    await receiver.ready(signal);
    const boot = { type: 'boot', guest: {}, sources: [], timeoutMs: 1000 } as const;
    const answer = receiver.request(boot, 'up', signal);
    say({
      type: 'up',
      pid: 1,
      consoleLog: '/log',
      warnings: [{ code: 'guest-started-twice', message: 'It was started once more.' }],
    });
    expect((await answer).warnings).toEqual([
      { code: 'guest-started-twice', message: 'On root@new: It was started once more.' },
    ]);
  });
});

describe('a receiver whose line is alive', () => {
  const id = 'a'.repeat(64);
  const boot = { type: 'boot', guest: {}, sources: [], timeoutMs: 150 } as const;
  const quick = { ...STEP_LIMITS_MS, finish: 150, publish: 150, boot: 150, copy: 150 };

  /** A receiver that is ready, and repeats a message. */
  async function startSaying(message: () => object) {
    const { receiver, say } = start(quick);
    say(ready);
    await receiver.ready(signal);
    const saying = setInterval(() => say(message()), 20);
    talking.push(saying);
    return { receiver, say };
  }

  test.each([
    ['finish', { type: 'finish', fingerprint: 'sha256:0' }, 'verified'],
    ['publish', { type: 'publish' }, 'published'],
    ['boot', boot, 'up'],
  ] as const)('has failed if it makes no progress during %s', async (step, request, answer) => {
    const { receiver } = await startSaying(() => ({ type: 'alive' }));
    const failure = await receiver.request(request, answer, signal).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: 'receiver-died',
      message: expect.stringMatching(`^The vmferry on root@new is there.*\\(${step}\\)`),
    });
    expect(receiver.failed.reason).toBe(failure);
  });

  test.each([
    ['the same bytes as verified', { type: 'progress', verifiedBytes: 0 }],
    ['a pack as applied that was not sent', { type: 'applied', id, plainBytes: 1 }],
  ])('has failed if it only repeats %s', async (_, message) => {
    const { receiver } = await startSaying(() => message);
    const asked = receiver.request({ type: 'finish', fingerprint: 'sha256:0' }, 'verified', signal);
    await expect(asked).rejects.toMatchObject({ code: 'receiver-died' });
  });

  test('has failed if it applies no pack', async () => {
    const { receiver } = await startSaying(() => ({ type: 'alive' }));
    using watch = receiver.watch('copy');
    watch.waiting();
    await new Promise((resolve) => receiver.failed.addEventListener('abort', resolve));
    expect(receiver.failed.reason).toMatchObject({ code: 'receiver-died' });
  });

  test('is given unlimited time while it makes progress', async () => {
    let verifiedBytes = 0;
    let hasTalked: () => void = () => undefined;
    const longEnough = new Promise<void>((resolve) => (hasTalked = resolve));
    const { receiver, say } = await startSaying(() => {
      if (++verifiedBytes === 30) hasTalked();
      return { type: 'progress', verifiedBytes };
    });
    const asked = receiver.request({ type: 'finish', fingerprint: 'sha256:0' }, 'verified', signal);
    await longEnough;
    const fingerprint = `sha256:${'0'.repeat(64)}`;
    say({ type: 'verified', fingerprint, readBack: 'direct', warnings: [] });
    expect(await asked).toMatchObject({ fingerprint });
    receiver.failed.throwIfAborted();
  });
});
