/** The figures of moves; those of backups are in `backup-summary.mjs`. */
const measuresOfMoves = [
  'wallSeconds',
  'cpuSeconds',
  'wireBytes',
  'lineUse',
  'peakBytes',
  'targetAllocatedBytes',
];

/** For each peer the medians of its runs, and their ratios to the reference. */
export function summarize(peers, runs, measures = measuresOfMoves, reference = 'vmferry') {
  const medians = new Map(
    peers.map(({ name }) => [
      name,
      mediansOf(
        runs.filter((each) => each.peer === name),
        measures,
      ),
    ]),
  );
  const base = medians.get(reference);
  return peers.map(({ name, title, verified }) => ({
    name,
    title,
    verified,
    rounds: runs.filter((each) => each.peer === name).length,
    medians: medians.get(name),
    ratios: base === undefined ? null : ratiosTo(base, medians.get(name), measures),
  }));
}

function mediansOf(runs, measures) {
  return Object.fromEntries(
    measures.map((measure) => [measure, medianOrNull(runs.map((each) => each[measure]))]),
  );
}

function ratiosTo(base, values, measures) {
  return Object.fromEntries(
    measures
      .filter((measure) => values[measure] !== null)
      .map((measure) => [measure, values[measure] / base[measure]]),
  );
}

/** For figures that are not measured on every line. */
function medianOrNull(values) {
  return values.includes(null) ? null : median(values);
}

export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The notes below a table. */
export const legend =
  'Medians; the number of runs is in brackets; × compares with vmferry. Of the line: the used share of it while data was sent.';

/** A Markdown table, the quickest first. */
export function summaryTable(summary) {
  const head = [
    '',
    'wall',
    '',
    'CPU, both ends',
    '',
    'on the wire',
    '',
    'of the line',
    'peak memory',
    'takes there',
    'verified',
  ];
  const rows = summary
    .toSorted((a, b) => a.medians.wallSeconds - b.medians.wallSeconds)
    .map(({ title, rounds, medians, ratios, verified }) => [
      `${title} (${rounds})`,
      seconds(medians.wallSeconds),
      times(ratios?.wallSeconds),
      seconds(medians.cpuSeconds),
      times(ratios?.cpuSeconds),
      megabytes(medians.wireBytes),
      times(ratios?.wireBytes),
      percent(medians.lineUse),
      megabytes(medians.peakBytes),
      megabytes(medians.targetAllocatedBytes),
      verified,
    ]);
  return aligned([head, ...rows]);
}

/** Pads columns to their widest cell, so that the table is readable on terminals. */
export function aligned([head, ...rows]) {
  const widths = head.map((_, column) => Math.max(3, ...[head, ...rows].map((row) => row[column].length)));
  const rightAligned = head.map((title, column) => column > 0 && title !== 'verified');
  const line = (row) =>
    `| ${row
      .map((cell, column) =>
        rightAligned[column] ? cell.padStart(widths[column]) : cell.padEnd(widths[column]),
      )
      .join(' | ')} |`;
  const rule = `|${widths.map((width, column) => '-'.repeat(width + 1) + (rightAligned[column] ? ':' : '-')).join('|')}|`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}

export function seconds(value) {
  return `${value.toFixed(1)} s`;
}

export function megabytes(value) {
  return `${Math.round(value / 1e6)} MB`;
}

export function times(ratio) {
  return ratio === undefined ? '' : `${ratio.toFixed(2)} ×`;
}

/** An empty text for figures that were not measured. */
export function percent(share) {
  return share === null ? '' : `${(100 * share).toFixed(0)} %`;
}
