import { setTimeout as delay } from 'node:timers/promises';
import { errorCode, errorMessage } from '../../system/error-code.ts';

/** The part of Node's `fetch` that is used. */
export type Fetch = (url: string, init: RequestInit) => Promise<Pick<Response, 'ok' | 'status' | 'body'>>;

export interface PingOptions {
  fetch: Fetch;
  /** Time limit for each attempt. */
  timeoutMs: number;
  /** How long to wait before each repetition; one repetition for each number. */
  retryDelaysMs: readonly number[];
}

/**
 * Reports the state of a run to a URL, in the way of healthchecks.io: a POST to `URL/start`, `URL` or `URL/fail` with a line of
 * text. Returns null if it was accepted; otherwise what went wrong, in words that contain only the host of the URL. Never throws.
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

/** Moves the user and password of the URL into a header: fetch refuses URLs that contain them. */
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
    // Cancel the unread body; otherwise the connection would stay open.
    await response.body?.cancel();
    if (response.ok) return null;
    const { status } = response;
    return { problem: `answers ${status}`, isTransient: status >= 500 || status === 429 || status === 408 };
  } catch (error) {
    return { problem: explain(error, timeoutMs), isTransient: true };
  }
}

/** Uses error codes, because messages of fetch may contain the whole URL. */
function explain(error: unknown, timeoutMs: number): string {
  if (errorMessage(error).includes('timeout')) return `did not answer within ${timeoutMs / 1000} s`;
  const cause = typeof error === 'object' && error !== null && 'cause' in error ? error.cause : error;
  const code = errorCode(cause);
  return code === '' ? 'cannot be reached' : `cannot be reached: ${code}`;
}
