import { readFile } from 'node:fs/promises';
import type { Context } from '../../events.ts';
import { Failure, failureOrReason } from '../../failure.ts';
import { errorCode } from '../../system/error-code.ts';
import { oneAtATime } from '../../system/one-at-a-time.ts';
import { replaceFile } from '../../system/replace-file.ts';
import { ping, type Fetch, type PingOptions } from './ping.ts';
import { MetricSet, parseMetrics, type MetricLabels } from './run-metrics.ts';

/** Where to report how a run went. */
export interface RunReportOptions {
  pingUrl: string | null;
  /** Absolute path. */
  metricsFile: string | null;
}

/** What a run works on. */
export interface RunSubject {
  operation: 'backup' | 'verify' | 'prune';
  /** Empty: all guests of the store. */
  guests: readonly string[];
  /** As the user names it. */
  store: string;
}

/** The result for one guest. */
export interface RunFigures {
  newBytes?: number;
  readBytes?: number;
  /** Data of its backups was read, or a backup was booted, and nothing was wrong. */
  isVerified?: boolean;
  /** The run fails because of this guest, perhaps among others. */
  hasFailed?: boolean;
}

/** Must be called for each guest as soon as it is done: it has succeeded even if a later guest fails. */
export type GuestDone = (guest: string, figures: RunFigures) => void;

export interface RunRecordDependencies {
  fetch: Fetch;
  now: () => Date;
  ping: Omit<PingOptions, 'fetch'>;
}

/** Two repetitions. They delay a run by half a minute at most. */
const patience = { timeoutMs: 8000, retryDelaysMs: [500, 2000] };
const metricsPatienceMs = 5000;
const largestMetricsBytes = 4 * 2 ** 20;

const realDependencies: RunRecordDependencies = { fetch, now: () => new Date(), ping: patience };

/**
 * Does the work, and reports it: to the ping URL its start and its end, and the result in the metrics. Returns or throws what
 * `work` does. A report that fails is a warning, and never fails a run.
 */
export async function withRunReports<Result>(
  options: RunReportOptions,
  subject: RunSubject,
  work: (guestDone: GuestDone) => Promise<Result>,
  context: Context,
  dependencies: RunRecordDependencies = realDependencies,
): Promise<Result> {
  const { now } = dependencies;
  const startedAt = now();
  const done = new Map<string, RunFigures>();
  const started = tell(options, 'start', startLine(subject), context, dependencies);
  const finish = async (failure: Failure | null) => {
    const endedAt = now();
    const run: EndedRun = { subject, done, startedAt, endedAt, exitStatus: failure?.exitStatus ?? 0 };
    if (options.metricsFile !== null) await recordMetrics(options.metricsFile, run, context);
    // Keep the order, or an ended run would seem to be running.
    await started;
    await tell(options, failure === null ? 'success' : 'fail', endLine(run, failure), context, dependencies);
  };

  let result;
  try {
    result = await work((guest, figures) => void done.set(guest, figures));
  } catch (thrown) {
    await finish(failureOrReason(thrown, context.signal));
    throw thrown;
  }
  await finish(null);
  return result;
}

async function tell(
  { pingUrl }: RunReportOptions,
  event: 'start' | 'success' | 'fail',
  line: string,
  { signal, report }: Context,
  dependencies: RunRecordDependencies,
): Promise<void> {
  if (pingUrl === null) return;
  // The user waits for the end: do not repeat.
  const retryDelaysMs = signal.aborted ? [] : dependencies.ping.retryDelaysMs;
  const problem = await ping(pingUrl, event, line, {
    ...dependencies.ping,
    retryDelaysMs,
    fetch: dependencies.fetch,
  });
  if (problem !== null) warn(report, `The ping URL could not be notified (${event}): ${problem}.`);
}

function warn(report: Context['report'], message: string): void {
  report({ type: 'warning', code: 'other', message });
}

interface EndedRun {
  subject: RunSubject;
  done: ReadonlyMap<string, RunFigures>;
  startedAt: Date;
  endedAt: Date;
  exitStatus: number;
}

/** Removes passwords from the URLs in a text. */
export function withoutPasswords(text: string): string {
  return text.replaceAll(/(\b[a-z][a-z0-9+.-]*:\/\/)([^\s/@:]*):[^\s/@]*@/gi, '$1$2@');
}

function startLine({ operation, guests, store }: RunSubject): string {
  const whose = guests.length === 0 ? '' : ` of ${guests.join(', ')}`;
  return withoutPasswords(`${operation}${whose}, ${store}`);
}

function endLine({ subject, done, startedAt, endedAt }: EndedRun, failure: Failure | null): string {
  const seconds = Math.round((endedAt.getTime() - startedAt.getTime()) / 1000);
  const newBytes = [...done.values()].reduce((sum, figures) => sum + (figures.newBytes ?? 0), 0);
  const added = newBytes > 0 ? `, ${newBytes} new bytes` : '';
  const end =
    failure === null ? `succeeded in ${seconds} s${added}` : `failed after ${seconds} s: ${failure.message}`;
  return withoutPasswords(`${startLine(subject)}: ${end}`.replaceAll(/\s+/g, ' '));
}

async function recordMetrics(file: string, run: EndedRun, { report }: Context): Promise<void> {
  try {
    const isDone = await oneAtATime(file, metricsPatienceMs, async () => {
      const metrics = await readMetrics(file);
      addRun(metrics, run);
      await replaceFile(file, metrics.toText(), 0o644);
    });
    if (!isDone) throw new Failure('write-failed', 'Another process is still writing to the file.');
  } catch (error) {
    const problem = error instanceof Failure ? error.message : `${errorCode(error) || String(error)}.`;
    warn(report, `The metrics in ${file} could not be updated: ${problem}`);
  }
}

async function readMetrics(file: string): Promise<MetricSet> {
  let text;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return new MetricSet();
    throw error;
  }
  const metrics = text.length > largestMetricsBytes ? null : parseMetrics(text);
  if (metrics !== null) return metrics;
  throw new Failure('write-failed', 'The file was not written by vmferry, and is left unchanged.');
}

/** Adds the run for the guests that were named or dealt with; without any, for the whole store. */
function addRun(metrics: MetricSet, { subject, done, startedAt, endedAt, exitStatus }: EndedRun): void {
  const { operation, guests } = subject;
  const store = withoutPasswords(subject.store);
  const endSeconds = Math.floor(endedAt.getTime() / 1000);
  const named = new Set([...guests, ...done.keys()]);
  for (const guest of named.size === 0 ? [''] : named) {
    const labels: MetricLabels = { operation, guest, store };
    const figures = done.get(guest);
    // The run may have failed because of another guest.
    const status = figures === undefined || figures.hasFailed === true ? exitStatus : 0;
    metrics.set('vmferry_last_run_timestamp_seconds', labels, endSeconds);
    metrics.set('vmferry_exit_status', labels, status);
    metrics.set(
      'vmferry_run_duration_seconds',
      labels,
      Math.max(0, endedAt.getTime() - startedAt.getTime()) / 1000,
    );
    if (status === 0) metrics.set('vmferry_last_success_timestamp_seconds', labels, endSeconds);
    if (figures?.newBytes !== undefined) metrics.set('vmferry_new_bytes', labels, figures.newBytes);
    if (figures?.readBytes !== undefined) metrics.set('vmferry_read_bytes', labels, figures.readBytes);
    if (figures?.isVerified === true)
      metrics.set('vmferry_last_verified_timestamp_seconds', labels, endSeconds);
  }
}
