import { setTimeout as delay } from 'node:timers/promises';
import { errorCode, errorMessage } from '../../system/error-code.ts';

/** As much of the `fetch` of Node as is needed. */
export type Fetch = (url: string, init: RequestInit) => Promise<Pick<Response, 'ok' | 'status' | 'body'>>;

export interface PingOptions {
  fetch: Fetch;
  /** For each try. */
  timeoutMs: number;
  /** How long to wait before each further try; as many further tries as there are numbers. */
  retryDelaysMs: readonly number[];
}

/**
 * Tells a URL how a run goes, in the way of healthchecks.io: a POST to `URL/start`, `URL`, `URL/fail`, with a line of
 * text. Null when it was taken; else what was wrong, in words that show nothing of the URL but its host. Never throws.
 */
export async function ping(
  pingUrl: string,
  event: 'start' | 'success' | 'fail',
  line: string,
  options: PingOptions,
): Promise<string | null> {
  const { url, headers, host } = requestFor(pingUrl, event);
  let problem = '';
  for (const waitMs of [0, ...options.retryDelaysMs]) {
    if (waitMs > 0) await delay(waitMs);
    const answer = await post(url, { headers, body: line }, options);
    if (answer === null) return null;
    problem = `${host} ${answer.problem}`;
    if (!answer.isTransient) break;
  }
  return problem;
}

/** The user and password of a URL go into a header: fetch takes no URL that has them. */
function requestFor(pingUrl: string, event: 'start' | 'success' | 'fail') {
  const url = new URL(pingUrl);
  const headers: Record<string, string> = { 'content-type': 'text/plain; charset=utf-8' };
  if (url.username !== '' || url.password !== '') {
    const credentials = `${decode(url.username)}:${decode(url.password)}`;
    headers['authorization'] = `Basic ${Buffer.from(credentials).toString('base64')}`;
    url.username = '';
    url.password = '';
  }
  if (event !== 'success') url.pathname = `${url.pathname.replace(/\/+$/, '')}/${event}`;
  url.hash = '';
  return { url: url.href, headers, host: url.host };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

interface Refusal {
  problem: string;
  isTransient: boolean;
}

async function post(
  url: string,
  { headers, body }: { headers: Record<string, string>; body: string },
  { fetch, timeoutMs }: PingOptions,
): Promise<Refusal | null> {
  try {
    const signal = AbortSignal.timeout(timeoutMs);
    const response = await fetch(url, { method: 'POST', headers, body, signal });
    // Nobody reads what it says; without this the connection would stay open.
    await response.body?.cancel();
    if (response.ok) return null;
    const { status } = response;
    return { problem: `answers ${status}`, isTransient: status >= 500 || status === 429 || status === 408 };
  } catch (error) {
    return { problem: explain(error, timeoutMs), isTransient: true };
  }
}

/** Messages of fetch can have the whole URL in them; codes have not. */
function explain(error: unknown, timeoutMs: number): string {
  if (errorMessage(error).includes('timeout')) return `did not answer within ${timeoutMs / 1000} s`;
  const cause = typeof error === 'object' && error !== null && 'cause' in error ? error.cause : error;
  const code = errorCode(cause);
  return code === '' ? 'cannot be reached' : `cannot be reached: ${code}`;
}
