import { resolve } from 'node:path';
import type { Options } from 'yargs';
import type { Config } from '../../config/config.ts';
import { isPingUrl, pingUrlForm } from '../../config/ping-url.ts';
import { Failure } from '../../failure.ts';
import type { RunReportOptions } from '../../operations/reports/run-record.ts';
import { optionalText, type Arguments } from './options.ts';

/** For every command whose runs can be monitored. */
export const runReportOptions = {
  'ping-url': {
    type: 'string',
    requiresArg: true,
    describe: 'Report the run to this URL: URL/start, then URL (success) or URL/fail',
  },
  metrics: {
    type: 'string',
    requiresArg: true,
    describe: 'Write the results of the last runs to this Prometheus textfile, FILE.prom',
  },
} as const satisfies Record<string, Options>;

/** Null for each option not given. Throws Failure `usage`; it does not show the URL, which may be secret. */
export function readRunReportOptions(args: Arguments): RunReportOptions {
  const pingUrl = optionalText(args, 'ping-url');
  if (pingUrl !== null && !isPingUrl(pingUrl)) throw new Failure('usage', `--ping-url takes ${pingUrlForm}.`);
  const metricsFile = optionalText(args, 'metrics');
  if (metricsFile !== null && !metricsFile.endsWith('.prom'))
    throw new Failure(
      'usage',
      '--metrics takes a file name that ends in .prom: Prometheus’ node_exporter reads no other.',
    );
  return { pingUrl, metricsFile: metricsFile === null ? null : resolve(metricsFile) };
}

/** Takes options that were not given from the configuration. */
export function withConfiguredReports(
  options: RunReportOptions,
  config: Pick<Config, 'pingUrl' | 'metricsFile'>,
): RunReportOptions {
  return {
    pingUrl: options.pingUrl ?? config.pingUrl,
    metricsFile: options.metricsFile ?? config.metricsFile,
  };
}
