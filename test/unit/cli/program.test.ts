import { EventEmitter } from 'node:events';
import { Readable, Writable } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import type { Command, Run } from '../../../src/cli/options/command.ts';
import { runProgram } from '../../../src/cli/program.ts';
import { Failure } from '../../../src/failure.ts';
import { MemoryStream } from './streams.ts';

class Dependencies implements AsyncDisposable {
  disposed = false;
  [Symbol.asyncDispose](): Promise<void> {
    this.disposed = true;
    return Promise.resolve();
  }
}

interface Setup {
  argv?: readonly string[];
  environment?: NodeJS.ProcessEnv;
  stdout?: Writable;
  internal?: true;
}

/** Runs the program with one command, `work`, which calls the given function. */
function start(run: Run<Dependencies>, { argv = ['work'], environment = {}, stdout, internal }: Setup = {}) {
  const work: Command<Dependencies> = {
    usage: 'work',
    summary: 'Does the work',
    define: (parser) => parser,
    read: () => run,
    ...(internal === undefined ? {} : { internal }),
  };
  const dependencies = new Dependencies();
  let loads = 0;
  const process = new EventEmitter();
  const streams = { stdout: new MemoryStream(), stderr: new MemoryStream() };
  const status = runProgram({
    argv,
    environment,
    process,
    stdin: Readable.from([]),
    stdout: stdout ?? streams.stdout,
    stderr: streams.stderr,
    version: '1.2.3',
    commands: [work],
    loadDependencies: () => {
      loads++;
      return Promise.resolve(dependencies);
    },
    now: () => 0,
  });
  return { status, process, dependencies, loads: () => loads, ...streams };
}

const done = { record: { type: 'worked', pieces: 3 }, text: '3 pieces' };
async function textOf({ status, stdout }: ReturnType<typeof start>): Promise<string> {
  await status;
  return stdout.text;
}

const succeed: Run<Dependencies> = ({ context }) => {
  context.report({ type: 'stage-finished', stage: 'copy', message: 'copied', seconds: 1 });
  context.report({ type: 'warning', code: 'other', message: 'odd' });
  return Promise.resolve(done);
};

/** Waits for the abort, then ends as the last argument says. */
function whenAborted(end: (reason: unknown) => Promise<never>): Run<Dependencies> {
  return ({ context: { signal } }) =>
    new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve())).then(() =>
      end(signal.reason),
    );
}

/** Waits until the command runs: then the signal handlers exist. */
async function settled(process: EventEmitter): Promise<void> {
  while (process.listenerCount('SIGINT') === 0) await new Promise(setImmediate);
  await new Promise(setImmediate);
}

describe('a command that succeeds', () => {
  test('returns 0, prints its result on stdout and the rest on stderr, and disposes of its dependencies', async () => {
    const { status, stdout, stderr, dependencies, process } = start(succeed);
    expect(await status).toBe(0);
    expect(stdout.text).toBe('3 pieces\n');
    expect(stderr.lines).toEqual(['copy: copied (1.0 s)', 'warning: odd']);
    expect(dependencies.disposed).toBe(true);
    expect(process.eventNames()).toEqual([]);
  });

  test('with --json everything is on stdout', async () => {
    const { status, stdout, stderr } = start(succeed, { argv: ['work', '--json'] });
    expect(await status).toBe(0);
    expect(stdout.lines.map((line) => (JSON.parse(line) as { type: string }).type)).toEqual([
      'stage-finished',
      'warning',
      'worked',
    ]);
    expect(stderr.text).toBe('');
  });

  test('with --quiet the summary is shown only after a failure', async () => {
    const summary: Run<Dependencies> = (environment) =>
      succeed(environment).then(() => ({ ...done, isSummary: true }));
    const { status, stdout, stderr } = start(summary, { argv: ['work', '--quiet'] });
    expect(await status).toBe(0);
    expect(stdout.text).toBe('');
    expect(stderr.lines).toEqual(['warning: odd']);
    expect(await textOf(start(summary, { argv: ['work'] }))).toBe('3 pieces\n');
    const failing: Run<Dependencies> = (environment) =>
      summary(environment).then((result) => ({ ...result, failure: new Failure('store-damaged', 'No.') }));
    expect(await textOf(start(failing, { argv: ['work', '--quiet'] }))).toBe('3 pieces\n');
    const json = start(summary, { argv: ['work', '--quiet', '--json'] });
    expect(await textOf(json)).toContain('"type":"worked"');
  });

  test('with --quiet only warnings and requested results are shown', async () => {
    const { status, stdout, stderr } = start(succeed, { argv: ['work', '--quiet'] });
    expect(await status).toBe(0);
    expect(stdout.text).toBe('3 pieces\n');
    expect(stderr.lines).toEqual(['warning: odd']);
  });

  test('only an internal command itself prints to stdout, even with --json', async () => {
    const silent: Run<Dependencies> = (environment) =>
      succeed(environment).then(() => ({ ...done, text: '' }));
    const { status, stdout } = start(silent, { argv: ['work', '--json'], internal: true });
    expect(await status).toBe(0);
    expect(stdout.text).toBe('');
  });
});

describe('a command that fails', () => {
  test('returns the exit status of its code, and disposes of its dependencies', async () => {
    const { status, stdout, stderr, dependencies } = start(() =>
      Promise.reject(new Failure('target-full', 'no room', { advice: 'Make some.' })),
    );
    expect(await status).toBe(14);
    expect(stdout.text).toBe('');
    expect(stderr.lines).toEqual(['error: no room', '       Make some.']);
    expect(dependencies.disposed).toBe(true);
  });

  test('shows its result first, if it has one', async () => {
    const failure = new Failure('store-damaged', 'two packs are damaged');
    const { status, stdout, stderr } = start(() => Promise.resolve({ ...done, failure }));
    expect(await status).toBe(20);
    expect(stdout.lines).toEqual(['3 pieces']);
    expect(stderr.lines).toEqual(['error: two packs are damaged']);
  });

  test('by a bug returns 1 and prints a line; VMFERRY_DEBUG=1 shows the stack', async () => {
    const broken = () => Promise.reject(new TypeError('undefined is not iterable'));
    const quiet = start(broken);
    expect(await quiet.status).toBe(1);
    expect(quiet.stderr.lines).toHaveLength(1);
    const loud = start(broken, { environment: { VMFERRY_DEBUG: '1' } });
    expect(await loud.status).toBe(1);
    expect(loud.stderr.text).toContain('    at ');
  });
});

describe('a wrong command line', () => {
  test('returns 2 and loads nothing', async () => {
    const { status, stderr, loads } = start(succeed, { argv: ['wrok'] });
    expect(await status).toBe(2);
    expect(stderr.text).toContain('There is no command "wrok".');
    expect(loads()).toBe(0);
  });

  test('with --json is a JSON error', async () => {
    const { status, stdout, stderr } = start(succeed, { argv: ['work', '--frob', '--json'] });
    expect(await status).toBe(2);
    expect(JSON.parse(stdout.text)).toMatchObject({ type: 'error', code: 'usage', exitStatus: 2 });
    expect(stderr.text).toBe('');
  });
});

describe('a signal', () => {
  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'])(
    '%s aborts; the operation cleans up, and the exit status is 130',
    async (name) => {
      const { status, process, stderr } = start(whenAborted((reason) => Promise.reject(reason as Error)));
      await settled(process);
      process.emit(name, name);
      expect(await status).toBe(130);
      expect(stderr.lines).toEqual([
        'Stopping. Please wait: the result follows.',
        `error: Interrupted (${name}).`,
      ]);
    },
  );

  test('any error after an abort is shown as the interruption', async () => {
    const { status, process } = start(whenAborted(() => Promise.reject(new DOMException('x', 'AbortError'))));
    await settled(process);
    process.emit('SIGINT', 'SIGINT');
    expect(await status).toBe(130);
  });

  test('a failure of the clean-up is not hidden by the interruption', async () => {
    const { status, process } = start(
      whenAborted(() => Promise.reject(new Failure('guest-left-down', 'down'))),
    );
    await settled(process);
    process.emit('SIGINT', 'SIGINT');
    expect(await status).toBe(18);
  });

  test('a second signal only prints that it is still stopping', async () => {
    let finish = () => {};
    const finished = new Promise<void>((resolve) => (finish = resolve));
    const { status, process, stderr } = start(
      whenAborted((reason) => finished.then(() => Promise.reject(reason as Error))),
    );
    await settled(process);
    process.emit('SIGINT', 'SIGINT');
    process.emit('SIGINT', 'SIGINT');
    finish();
    expect(await status).toBe(130);
    expect(stderr.lines[1]).toBe('Still stopping. Please wait.');
  });

  test('an uncaught error aborts, too, so that the guest is started again', async () => {
    const { status, process, stderr } = start(whenAborted((reason) => Promise.reject(reason as Error)));
    await settled(process);
    process.emit('uncaughtException', new TypeError('stray'));
    expect(await status).toBe(1);
    expect(stderr.text).toContain('a bug in vmferry: stray');
  });
});

describe('stdout', () => {
  function failingWith(code: string) {
    return new Writable({
      write: (_data, _encoding, callback) => {
        callback(Object.assign(new Error(`write ${code}`), { code }));
      },
    });
  }

  test('with a closed reader is no error', async () => {
    const { status, stderr } = start(succeed, { argv: ['work', '--quiet'], stdout: failingWith('EPIPE') });
    expect(await status).toBe(0);
    expect(stderr.lines).toEqual(['warning: odd']);
  });

  test('that cannot be written to is an error', async () => {
    const { status, stderr } = start(succeed, { argv: ['work', '--quiet'], stdout: failingWith('ENOSPC') });
    expect(await status).toBe(15);
    expect(stderr.text).toContain('The output could not be written');
  });
});
