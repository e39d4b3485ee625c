import { readFile } from 'node:fs/promises';
import type { Context } from '../../events.ts';
import { Failure, failureOrReason } from '../../failure.ts';
import { errorCode } from '../../system/error-code.ts';
import { oneAtATime } from '../../system/one-at-a-time.ts';
import { replaceFile } from '../../system/replace-file.ts';
import { ping, type Fetch, type PingOptions } from './ping.ts';
import { MetricSet, parseMetrics, type MetricLabels } from './run-metrics.ts';

/** Who is told how a run went. */
export interface RunReportOptions {
  pingUrl: string | null;
  /** Absolute path. */
  metricsFile: string | null;
}

/** What is done. */
export interface RunSubject {
  operation: 'backup' | 'verify' | 'prune';
  /** Empty: whatever guests the store has. */
  guests: readonly string[];
  /** As a person names it. */
  store: string;
}

/** What came of one guest. */
export interface RunFigures {
  newBytes?: number;
  readBytes?: number;
  /** Data of its backups was read, or one was booted, and nothing was wrong. */
  isVerified?: boolean;
  /** What the run fails with is (also) about this guest. */
  hasFailed?: boolean;
}

/** To be called for each guest as soon as it is done: should a later one fail, this one has succeeded. */
export type GuestDone = (guest: string, figures: RunFigures) => void;

export interface RunRecordDependencies {
  fetch: Fetch;
  now: () => Date;
  ping: Omit<PingOptions, 'fetch'>;
}

/** Two further tries; a run is not held up by more than half a minute. */
const patience = { timeoutMs: 8000, retryDelaysMs: [500, 2000] };
const metricsPatienceMs = 5000;
const largestMetricsBytes = 4 * 2 ** 20;

const realDependencies: RunRecordDependencies = { fetch, now: () => new Date(), ping: patience };

/**
 * Does something, and tells those who watch over it: the ping URL when it starts and how it ended, and the metrics.
 * Gives and throws what `work` does. That nobody could be told is a warning, and never fails a run.
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
    // In their order, or a run that has ended would seem to run.
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
  // Somebody waits for the end: one try.
  const retryDelaysMs = signal.aborted ? [] : dependencies.ping.retryDelaysMs;
  const problem = await ping(pingUrl, event, line, {
    ...dependencies.ping,
    retryDelaysMs,
    fetch: dependencies.fetch,
  });
  if (problem !== null) warn(report, `The ping URL could not be told (${event}): ${problem}.`);
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

/** URLs with a password in them are shown without. */
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
    if (!isDone) throw new Failure('write-failed', `Another process is still writing to it.`);
  } catch (error) {
    const problem = error instanceof Failure ? error.message : `${errorCode(error) || String(error)}.`;
    warn(report, `The metrics in ${file} could not be brought up to date: ${problem}`);
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
  throw new Failure('write-failed', 'It holds what vmferry has not written, and is left as it is.');
}

/** Of the guests that were named, and of those that were dealt with; of the store as a whole where there is neither. */
function addRun(metrics: MetricSet, { subject, done, startedAt, endedAt, exitStatus }: EndedRun): void {
  const { operation, guests } = subject;
  const store = withoutPasswords(subject.store);
  const endSeconds = Math.floor(endedAt.getTime() / 1000);
  const named = new Set([...guests, ...done.keys()]);
  for (const guest of named.size === 0 ? [''] : named) {
    const labels: MetricLabels = { operation, guest, store };
    const figures = done.get(guest);
    // The run may have failed for another guest's sake.
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
