import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Context, Event } from '../../../src/events.ts';
import { Failure } from '../../../src/failure.ts';
import { parseMetrics, type MetricName } from '../../../src/operations/reports/run-metrics.ts';
import {
  withRunReports,
  type RunRecordDependencies,
  type RunSubject,
} from '../../../src/operations/reports/run-record.ts';

interface Request {
  path: string;
  body: string;
  authorization: string | undefined;
}

let directory: string;
let server: Server;
let requests: Request[];
/** The server's answers to the next requests, in order; after them 200. */
let answers: (number | 'hang')[];
let origin: string;
let warnings: string[];
let controller: AbortController;
let clock: number;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'vmferry-run-record-'));
  [requests, answers, warnings, clock] = [[], [], [], Date.UTC(2026, 0, 2, 3)];
  controller = new AbortController();
  server = createServer((request, response) => {
    void text(request).then((body) => {
      requests.push({ path: request.url ?? '', body, authorization: request.headers.authorization });
      const answer = answers.shift() ?? 200;
      if (answer !== 'hang') response.writeHead(answer).end('OK');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(directory, { recursive: true });
});

const subject: RunSubject = { operation: 'backup', guests: ['web'], store: 'sftp://u:secret@h/v' };

function run<Result>(
  options: { pingUrl?: string; metricsFile?: string },
  work: Parameters<typeof withRunReports<Result>>[2],
  of: RunSubject = subject,
): Promise<Result> {
  const report = (event: Event) => {
    if (event.type === 'warning') warnings.push(event.message);
  };
  const context: Context = { signal: controller.signal, report };
  const dependencies: RunRecordDependencies = {
    fetch,
    now: () => new Date((clock += 1500)),
    ping: { timeoutMs: 400, retryDelaysMs: [1, 1] },
  };
  const all = { pingUrl: options.pingUrl ?? null, metricsFile: options.metricsFile ?? null };
  return withRunReports(all, of, work, context, dependencies);
}

describe('the ping URL', () => {
  test('gets the start and the success of a run', async () => {
    const result = await run({ pingUrl: `${origin}/uuid/?rid=1` }, async (done) => {
      done('web', { newBytes: 12 });
      return Promise.resolve(7);
    });
    expect(result).toBe(7);
    expect(requests.map(({ path }) => path)).toEqual(['/uuid/start?rid=1', '/uuid/?rid=1']);
    expect(requests.map(({ body }) => body)).toEqual([
      'backup of web, sftp://u@h/v',
      'backup of web, sftp://u@h/v: succeeded in 2 s, 12 new bytes',
    ]);
    expect(warnings).toEqual([]);
  });

  test('gets a failure in one line, without passwords; the failure is thrown', async () => {
    const failure = new Failure('login-refused', 'No:\nsftp://u:secret@h refused.');
    await expect(run({ pingUrl: `${origin}/uuid` }, () => Promise.reject(failure))).rejects.toBe(failure);
    expect(requests.map(({ path }) => path)).toEqual(['/uuid/start', '/uuid/fail']);
    expect(requests[1]?.body).toBe('backup of web, sftp://u@h/v: failed after 2 s: No: sftp://u@h refused.');
  });

  test('gets its user and password in a header', async () => {
    await run({ pingUrl: origin.replace('//', '//me:p%40ss@') }, () => Promise.resolve());
    const credentials = Buffer.from('me:p@ss').toString('base64');
    expect(requests.map(({ authorization }) => authorization)).toEqual(Array(2).fill(`Basic ${credentials}`));
  });

  test('is tried three times', async () => {
    answers = [503, 429, 200, 'hang', 200];
    await run({ pingUrl: origin }, () => Promise.resolve());
    expect(requests.map(({ path }) => path)).toEqual(['/start', '/start', '/start', '/', '/']);
    expect(warnings).toEqual([]);
  });

  test('that fails is only a warning, which does not show the URL', async () => {
    answers = [404, 500, 500, 500];
    const pingUrl = `${origin.replace('//', '//me:secret@')}/uuid`;
    expect(await run({ pingUrl }, () => Promise.resolve('done'))).toBe('done');
    const host = new URL(origin).host;
    expect(warnings).toEqual([
      `The ping URL could not be notified (start): ${host} answers 404.`,
      `The ping URL could not be notified (success): ${host} answers 500.`,
    ]);
    warnings = [];
    await run({ pingUrl: 'http://127.0.0.1:1/uuid' }, () => Promise.resolve());
    expect(warnings).toHaveLength(2);
    expect(warnings.join()).not.toMatch(/uuid|secret/);
  });

  test('gets an interruption once', async () => {
    answers = [200, 500];
    const interrupted = new Failure('interrupted', 'Interrupted (SIGTERM).');
    const work = async () => {
      controller.abort(interrupted);
      throw new Error('aborted');
    };
    await expect(run({ pingUrl: origin }, work)).rejects.toThrow('aborted');
    expect(requests.map(({ path }) => path)).toEqual(['/start', '/fail']);
    expect(requests[1]?.body).toMatch(/Interrupted \(SIGTERM\)\.$/);
  });
});

describe('the metrics', () => {
  const file = () => join(directory, 'vmferry.prom');
  const value = (name: MetricName, guest: string, operation = 'backup') =>
    parseMetrics(readFileSync(file(), 'utf8'))?.get(name, { operation, guest, store: 'sftp://u@h/v' });
  const metricsFile = () => ({ metricsFile: file() });

  test('have the last run of each guest, and keep the last success after a failure', async () => {
    await run(metricsFile(), (done) => Promise.resolve(done('web', { newBytes: 5, readBytes: 50 })));
    const success = value('vmferry_last_success_timestamp_seconds', 'web');
    expect(success).toBe(Date.UTC(2026, 0, 2, 3, 0, 3) / 1000);
    expect(value('vmferry_run_duration_seconds', 'web')).toBe(1.5);
    expect(statSync(file()).mode & 0o777).toBe(0o644);

    const failure = new Failure('target-full', 'It is full.');
    const both: RunSubject = { ...subject, guests: ['mail', 'web'] };
    const work = async (done: (guest: string, figures: object) => void) => {
      done('mail', { newBytes: 1 });
      throw failure;
    };
    await expect(run(metricsFile(), work, both)).rejects.toBe(failure);
    expect(value('vmferry_exit_status', 'mail')).toBe(0);
    expect(value('vmferry_exit_status', 'web')).toBe(14);
    expect(value('vmferry_last_success_timestamp_seconds', 'web')).toBe(success);
    expect(value('vmferry_last_run_timestamp_seconds', 'web')).toBe((success ?? 0) + 3);
    expect(value('vmferry_new_bytes', 'web')).toBe(5);
    expect(readdirSync(directory)).toEqual(['vmferry.prom']);
  });

  test('of a verification name the guests without damage', async () => {
    const whole: RunSubject = { ...subject, operation: 'verify', guests: [] };
    await run(metricsFile(), (done) => Promise.resolve(done('web', { isVerified: true })), whole);
    expect(value('vmferry_last_verified_timestamp_seconds', 'web', 'verify')).toBeGreaterThan(0);
    const failure = new Failure('store-damaged', 'It is damaged.');
    const damaged = (done: (guest: string, figures: object) => void) => {
      done('mail', { isVerified: true, hasFailed: false });
      done('web', { isVerified: false, hasFailed: true });
      return Promise.reject(failure);
    };
    await expect(run(metricsFile(), damaged, whole)).rejects.toBe(failure);
    expect(['mail', 'web'].map((guest) => value('vmferry_exit_status', guest, 'verify'))).toEqual([0, 20]);
    const [verified = 0, ended = 0] = [
      value('vmferry_last_verified_timestamp_seconds', 'web', 'verify'),
      value('vmferry_last_run_timestamp_seconds', 'web', 'verify'),
    ];
    expect(verified).toBeLessThan(ended);
    await expect(run(metricsFile(), () => Promise.reject(failure), whole)).rejects.toBe(failure);
    expect(value('vmferry_exit_status', '', 'verify')).toBe(20);
  });

  test('of runs that end at the same time are all kept', async () => {
    const guests = Array.from({ length: 12 }, (_, number) => `guest-${number}`);
    await Promise.all(
      guests.map((guest) => run(metricsFile(), () => Promise.resolve(), { ...subject, guests: [guest] })),
    );
    for (const guest of guests) expect(value('vmferry_exit_status', guest)).toBe(0);
    expect(warnings).toEqual([]);
  });

  test('are not written to a file of another program, nor to a missing directory', async () => {
    writeFileSync(file(), 'node_load1 0.2\n');
    expect(await run(metricsFile(), () => Promise.resolve(1))).toBe(1);
    expect(readFileSync(file(), 'utf8')).toBe('node_load1 0.2\n');
    await run({ metricsFile: join(directory, 'none', 'x.prom') }, () => Promise.resolve());
    expect(warnings).toEqual([
      expect.stringMatching(/could not be updated: The file was not written by vmferry/),
      expect.stringMatching(/could not be updated: ENOENT\.$/),
    ]);
  });
});
