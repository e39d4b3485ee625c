import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { Context } from '../events.ts';
import type { GuestDefinition } from './definition.ts';
import type { GuestDriver, RunningGuest } from './guest-driver.ts';

/** Time limit for each way of halting the copy; then it is killed. */
const haltTimeoutMs = 10_000;

/**
 * Boots a copy of a guest, waits until it is up, and halts it. Returns the seconds until it was up. Throws as `GuestDriver.start`; then
 * nothing of it runs.
 * @param isolated see `GuestDriver.isolate`
 */
export async function bootIsolated(
  driver: GuestDriver,
  isolated: GuestDefinition,
  { scratch, bootTimeoutMs }: { scratch: string; bootTimeoutMs: number },
  context: Context,
): Promise<number> {
  const startedMs = performance.now();
  const options = { consoleLog: join(scratch, 'console.log'), timeoutMs: bootTimeoutMs };
  const running = await driver.start(isolated, options, context);
  const seconds = (performance.now() - startedMs) / 1000;
  await endIsolated(driver, running);
  context.signal.throwIfAborted();
  return seconds;
}

/** Halts a copy, and kills it if it does not halt: it is not needed any more. An interruption does not stop this. */
export async function endIsolated(driver: GuestDriver, copy: RunningGuest): Promise<void> {
  const patient: Context = { signal: new AbortController().signal, report: () => undefined };
  await driver.halt(copy, { timeoutMs: haltTimeoutMs, force: true }, patient);
}
