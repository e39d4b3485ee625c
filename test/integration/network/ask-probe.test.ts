import { afterEach, describe, expect, test } from '@jest/globals';
import { existsSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import {
  ASK_LIMITS,
  askProbe,
  type AskLimits,
  type Dial,
} from '../../../src/operations/migrate/probes/ask.ts';
import { awaitAnswers } from '../../../src/operations/migrate/probes/await-answers.ts';
import type { Event } from '../../../src/events.ts';
import { refreshAnswers } from '../../../src/operations/migrate/probes/note-answers.ts';
import type { Probe } from '../../../src/operations/migrate/probes/probe.ts';
import { UnreachableFromThere } from '../../../src/ssh/connect-from.ts';
import { scratchDirectory } from '../../support/images/images.ts';

const servers: Server[] = [];
const sockets = new Set<Socket>();
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
});

async function listen(server: Server, port = 0): Promise<number> {
  servers.push(server);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}
const serve = (greet: (socket: Socket) => void, port = 0) => listen(createServer(greet), port);

/** Until the other side has gone. */
function writeForEver(to: Writable, text: string): void {
  to.write(text, (error) => {
    if (error) return;
    writeForEver(to, text);
  });
}

const guest = { name: 'web', address: '127.0.0.1', phase: 'before' } as const;
const never = new AbortController().signal;
const nowhere: Dial = () => Promise.reject(new Error('there is no way from there'));
const ask = (probe: Probe, limits: Partial<AskLimits> = {}) =>
  askProbe(probe, guest, never, { ...ASK_LIMITS, greetingMs: 10_000, ...limits });
const port = (number: number, host: string | null = null): Probe => ({ kind: 'tcp', host, port: number });

describe('a TCP port', () => {
  test('with a greeting: its first line, as soon as it is complete', async () => {
    const listening = await serve((socket) => socket.write('SSH-2.0-te'));
    const whole = await serve((socket) => socket.write('SSH-2.0-test\r\n'));
    expect(await ask(port(whole))).toEqual({ answered: true, way: 'open', greeting: 'SSH-2.0-test' });
    expect(await ask(port(listening), { greetingMs: 500 })).toMatchObject({ greeting: 'SSH-2.0-te' });
  });

  test('without a greeting is open all the same', async () => {
    const silent = await serve(() => undefined);
    expect(await ask(port(silent, 'localhost'), { greetingMs: 50 })).toEqual({
      answered: true,
      way: 'open',
      greeting: null,
    });
  });

  test('with an endless greeting, or one that a terminal would obey: short, and printable', async () => {
    const endless = await serve((socket) => {
      writeForEver(socket, '\u001b]0;title\u0007'.repeat(4096));
    });
    expect(await ask(port(endless))).toEqual({ answered: true, way: 'open', greeting: null });
    const long = await serve((socket) => socket.write('y'.repeat(100_000)));
    expect(await ask(port(long))).toMatchObject({ greeting: 'y'.repeat(100) });
  });

  test('may take longer to introduce itself than to connect', async () => {
    const slow = await serve((socket) => setTimeout(() => socket.write('220 mail\n'), 400));
    expect(await ask(port(slow), { connectMs: 200 })).toMatchObject({ greeting: '220 mail' });
  });

  test('that is closed, or forwarded to nothing, does not answer', async () => {
    const closing = await serve((socket) => socket.end());
    expect(await ask(port(closing))).toEqual({
      answered: false,
      why: 'the connection was closed at once',
    });
    const free = await serve(() => undefined);
    await new Promise((resolve) => servers.pop()?.close(resolve));
    expect(await ask(port(free))).toEqual({ answered: false, why: 'connection refused' });
  });
});

describe('a web server', () => {
  test('answers with its status; nothing of its content is kept, and no redirection is followed', async () => {
    const statuses: Record<string, number> = { '/': 200, '/away': 302, '/missing': 404 };
    const web = await listen(
      createHttpServer((request, response) => {
        response.writeHead(statuses[request.url ?? ''] ?? 500, { location: '/' });
        writeForEver(response, 'x'.repeat(65_536));
      }),
    );
    for (const [path, status] of Object.entries(statuses))
      expect(await ask({ kind: 'http', url: `http://127.0.0.1:${web}${path}` })).toEqual({
        answered: true,
        way: `status ${status}`,
        greeting: null,
      });
  });

  test('that never answers, or not in HTTP, is given up', async () => {
    const silent = await serve(() => undefined);
    const url = `http://127.0.0.1:${silent}/`;
    expect(await ask({ kind: 'http', url }, { httpMs: 200 })).toEqual({
      answered: false,
      why: 'no answer within 0.2 s',
    });
    const other = await serve((socket) => socket.end('SSH-2.0-test\r\n'));
    expect(await ask({ kind: 'http', url: `http://127.0.0.1:${other}/` })).toMatchObject({ answered: false });
  });
});

describe('a command', () => {
  test('gets the guest in its environment, and answers by its exit status', async () => {
    using files = scratchDirectory();
    const said = join(files.path, 'said');
    const command = `echo noise; test "$VMFERRY_GUEST,$VMFERRY_ADDRESS,$VMFERRY_PHASE" = 'a$(touch ${said}) b,127.0.0.1,after'`;
    const named = { ...guest, name: `a$(touch ${said}) b`, phase: 'after' } as const;
    expect(await askProbe({ kind: 'exec', command }, named, never)).toEqual({
      answered: true,
      way: 'exit status 0',
      greeting: null,
    });
    expect(existsSync(said)).toBe(false);
    expect(await ask({ kind: 'exec', command: 'exit 7' })).toEqual({ answered: false, why: 'exit status 7' });
    expect(await ask({ kind: 'exec', command: 'kill -9 $$' })).toEqual({
      answered: false,
      why: 'ended by a signal',
    });
  });

  test('that does not end is given up', async () => {
    const answer = await ask({ kind: 'exec', command: 'sleep 600 & sleep 600' }, { commandMs: 300 });
    expect(answer).toEqual({ answered: false, why: 'no answer within 0.3 s' });
  });
});

describe('before the halt', () => {
  test('old answers are asked for again: what does not answer any more is not required', async () => {
    const stays = await serve((socket) => socket.write('220 new\n'));
    const free = await serve(() => undefined);
    await new Promise((resolve) => servers.pop()?.close(resolve));
    const before = { answered: true, way: 'open', greeting: '220 old' } as const;
    const answers = [
      { probe: port(stays), isChosen: false, before },
      { probe: port(free), isChosen: false, before },
      { probe: port(free), isChosen: true, before },
    ];
    const noted = { guest: 'web', notedAtMs: performance.now(), address: '127.0.0.1', answers };
    const said: string[] = [];
    const context = {
      signal: never,
      report: (event: Event) => {
        if (event.type === 'notice') said.push(event.message);
      },
    };
    expect(await refreshAnswers(noted, context)).toBe(noted);
    expect((await refreshAnswers(noted, context, 0)).answers).toMatchObject([
      { probe: port(stays), before: { greeting: '220 new' } },
      { probe: port(free), isChosen: true, before: { answered: false } },
    ]);
    expect(said).toHaveLength(2);
    expect(said[0]).toBe(
      `Before the halt, tcp:${free} did not answer: connection refused. It is not required after the boot.`,
    );
  });
});

describe('after the boot', () => {
  test('each probe is asked until it answers as before, or the time is over', async () => {
    const stays = await serve((socket) => socket.write('220 mail\n'));
    let asked: () => void = () => undefined;
    const wasAsked = new Promise<void>((resolve) => (asked = resolve));
    const late = await serve((socket) => {
      socket.destroy();
      asked();
    });
    const before = { answered: true, way: 'open', greeting: '220 mail' } as const;
    const gone: Probe = { kind: 'exec', command: 'false' };
    const answers = [port(stays), port(late), gone].map((probe) => ({ probe, isChosen: true, before }));
    const refused = { probe: port(1), isChosen: true, before: { answered: false, why: 'no' } as const };
    const asking = awaitAnswers(
      { guest: 'web', address: '127.0.0.1', answers: [...answers, refused] },
      5_000,
      nowhere,
      never,
    );
    // Answers only after it was asked once.
    await wasAsked;
    await new Promise((resolve) => servers.pop()?.close(resolve));
    await serve((socket) => socket.write('220 mail\n'), late);
    const again = await asking;
    expect(again.map(({ account }) => account.outcome)).toEqual([
      'passed',
      'passed',
      'failed',
      'not-required',
    ]);
    expect(again[0]?.account).toMatchObject({ before: 'answered 220 mail', after: 'answered 220 mail' });
    expect(again[2]?.account).toMatchObject({ after: 'did not answer: exit status 1', seconds: null });
    expect(again[3]?.account).toMatchObject({ after: null, seconds: null });
  });

  test('an automatic probe may be answered only there; a chosen one may not', async () => {
    const behind = await serve((socket) => socket.write('220 mail\n'));
    const dialThere: Dial = (to, signal) =>
      new Promise((resolve, reject) => {
        const socket = connect({ ...to, port: behind, signal });
        socket.once('error', reject).once('connect', () => resolve(socket));
      });
    const before = { answered: true, way: 'open', greeting: '220 mail' } as const;
    const free = await serve(() => undefined);
    await new Promise((resolve) => servers.pop()?.close(resolve));
    const answers = [false, true].map((isChosen) => ({ probe: port(free), isChosen, before }));
    const noted = { guest: 'web', address: '127.0.0.1', answers };
    const outcomes = async (dial: Dial) => {
      const after = await awaitAnswers(noted, 10, dial, never);
      return after.map(({ account }) => account.outcome);
    };
    expect(await outcomes(nowhere)).toEqual(['unknown', 'failed']);
    expect(await outcomes(() => Promise.reject(new UnreachableFromThere()))).toEqual(['failed', 'failed']);
    const again = await awaitAnswers(noted, 3_000, dialThere, never, 1_000);
    expect(again.map(({ account }) => account)).toMatchObject([
      { outcome: 'passed', after: 'answered 220 mail', isOnlyThere: true },
      { outcome: 'failed', after: 'did not answer: connection refused', isOnlyThere: false },
    ]);
    expect(again[0]?.account.seconds).toBeGreaterThanOrEqual(1);
  });

  test('an interruption ends the asking', async () => {
    const stop = new AbortController();
    const before = { answered: true, way: 'exit status 0', greeting: null } as const;
    const probe: Probe = { kind: 'exec', command: 'sleep 600' };
    const asking = awaitAnswers(
      { guest: 'web', address: null, answers: [{ probe, isChosen: true, before }] },
      600_000,
      nowhere,
      stop.signal,
    );
    stop.abort();
    expect((await asking)[0]?.account).toMatchObject({ outcome: 'not-finished', after: null });
  });
});
