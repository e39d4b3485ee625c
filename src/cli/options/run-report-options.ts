import { resolve } from 'node:path';
import type { Options } from 'yargs';
import type { Config } from '../../config/config.ts';
import { isPingUrl, pingUrlForm } from '../../config/ping-url.ts';
import { Failure } from '../../failure.ts';
import type { RunReportOptions } from '../../operations/reports/run-record.ts';
import { optionalText, type Arguments } from './options.ts';

/** Of every command whose runs somebody watches over. */
export const runReportOptions = {
  'ping-url': {
    type: 'string',
    requiresArg: true,
    describe: 'Tell this URL how it goes: URL/start, URL when it succeeded, URL/fail',
  },
  metrics: {
    type: 'string',
    requiresArg: true,
    describe: 'Keep a Prometheus textfile of the last runs, FILE.prom',
  },
} as const satisfies Record<string, Options>;

/** Null for what was not given. Throws Failure `usage`, which does not show the URL: whoever knows it can ping it. */
export function readRunReportOptions(args: Arguments): RunReportOptions {
  const pingUrl = optionalText(args, 'ping-url');
  if (pingUrl !== null && !isPingUrl(pingUrl)) throw new Failure('usage', `--ping-url takes ${pingUrlForm}.`);
  const metricsFile = optionalText(args, 'metrics');
  if (metricsFile !== null && !metricsFile.endsWith('.prom'))
    throw new Failure('usage', '--metrics takes a file that ends in .prom: no other is collected.');
  return { pingUrl, metricsFile: metricsFile === null ? null : resolve(metricsFile) };
}

/** What was not given is as the configuration says. */
export function withConfiguredReports(
  options: RunReportOptions,
  config: Pick<Config, 'pingUrl' | 'metricsFile'>,
): RunReportOptions {
  return {
    pingUrl: options.pingUrl ?? config.pingUrl,
    metricsFile: options.metricsFile ?? config.metricsFile,
  };
}
