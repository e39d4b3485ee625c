/**
 * The metrics of the last runs, one value for each guest and store, in Prometheus' text-based exposition format for the textfile
 * collector of node_exporter. Pure. Only files written here can be read back.
 */
const metricHelp = {
  vmferry_last_run_timestamp_seconds: 'When the last run ended, successful or not.',
  vmferry_last_success_timestamp_seconds: 'When the last successful run ended.',
  vmferry_last_verified_timestamp_seconds:
    'When a verification last read data, or booted a copy, and found nothing wrong.',
  vmferry_run_duration_seconds: 'How long the last run took.',
  vmferry_new_bytes: 'Bytes that the last successful run added to the store.',
  vmferry_read_bytes: 'Bytes that the last successful run read.',
  vmferry_exit_status: 'Exit status of the last run: 0 is success.',
} as const;

export type MetricName = keyof typeof metricHelp;

const metricNames = Object.keys(metricHelp) as MetricName[];
const labelNames = ['operation', 'guest', 'store'] as const;

/** As in Prometheus, an empty label equals a missing one. */
export type MetricLabels = Readonly<Record<(typeof labelNames)[number], string>>;

/** Values by name and labels. */
export class MetricSet {
  readonly #values = new Map<string, { name: MetricName; labels: MetricLabels; value: number }>();

  get(name: MetricName, labels: MetricLabels): number | undefined {
    return this.#values.get(keyOf(name, labels))?.value;
  }

  set(name: MetricName, labels: MetricLabels, value: number): void {
    this.#values.set(keyOf(name, labels), { name, labels, value });
  }

  /** The whole file. Its order depends only on its content. */
  toText(): string {
    const lines = metricNames.flatMap((name) => {
      const samples = [...this.#values.entries()].filter(([, sample]) => sample.name === name);
      if (samples.length === 0) return [];
      const ordered = samples.toSorted(([one], [other]) => (one < other ? -1 : 1));
      return [
        `# HELP ${name} ${metricHelp[name]}`,
        `# TYPE ${name} gauge`,
        ...ordered.map(([key, { value }]) => `${key} ${value}`),
      ];
    });
    return lines.map((line) => `${line}\n`).join('');
  }
}

function keyOf(name: MetricName, labels: MetricLabels): string {
  const pairs = labelNames.map((label) => `${label}="${escapeLabel(labels[label])}"`);
  return `${name}{${pairs.join(',')}}`;
}

function escapeLabel(value: string): string {
  return value.replaceAll(/[\\"]/g, String.raw`\$&`).replaceAll('\n', String.raw`\n`);
}

const labelValue = String.raw`((?:[^"\\\n]|\\["\\n])*)`;
const sampleLine = new RegExp(
  String.raw`^(\w+)\{${labelNames.map((name) => `${name}="${labelValue}"`).join(',')}\} (\d+(?:\.\d+)?)$`,
);
const commentLine = /^# (?:HELP|TYPE) (\w+) .*$/;

/** Parses a file that `toText` wrote. Null for any other file. */
export function parseMetrics(text: string): MetricSet | null {
  const metrics = new MetricSet();
  if (text === '') return metrics;
  if (!text.endsWith('\n')) return null;
  for (const line of text.slice(0, -1).split('\n')) {
    const comment = commentLine.exec(line);
    const sample = sampleLine.exec(line);
    const name = metricNames.find((known) => known === (comment ?? sample)?.[1]);
    if (name === undefined) return null;
    if (sample === null) continue;
    const [operation = '', guest = '', store = ''] = sample.slice(2).map(unescapeLabel);
    const labels = { operation, guest, store };
    if (metrics.get(name, labels) !== undefined) return null;
    metrics.set(name, labels, Number(sample[5]));
  }
  return metrics;
}

function unescapeLabel(text: string): string {
  return text.replaceAll(/\\(.)/g, (_, sign: string) => (sign === 'n' ? '\n' : sign));
}
