import { backupSteps } from './backup-peers.mjs';
import { aligned, megabytes, percent, seconds, summarize, times } from './summary.mjs';

const measures = [
  'wallSeconds',
  'cpuSeconds',
  'wireBytes',
  'lineUse',
  'peakBytes',
  'storedBytes',
  'addedBytes',
];

/** For each step, of each peer that has it, the medians and their ratios to vmferry's. */
export function summarizeBackups(peers, runs) {
  return backupSteps.map(({ name, title }) => {
    const runsOfStep = runs.filter(({ step }) => step === name);
    const taking = peers.filter(({ steps }) => name in steps);
    return { step: name, title, peers: summarize(taking, runsOfStep, measures) };
  });
}

/** A Markdown table for each step, the quickest first. */
export function backupTables(summary) {
  return summary
    .filter(({ peers }) => peers.length > 0)
    .map(({ title, peers }) => `${title}:\n\n${table(peers)}`)
    .join('\n\n');
}

function table(peers) {
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
    'stored',
    '',
    'more than before',
  ];
  const rows = peers
    .toSorted((a, b) => a.medians.wallSeconds - b.medians.wallSeconds)
    .map(({ title, rounds, medians, ratios }) => [
      `${title} (${rounds})`,
      seconds(medians.wallSeconds),
      times(ratios?.wallSeconds),
      seconds(medians.cpuSeconds),
      times(ratios?.cpuSeconds),
      megabytes(medians.wireBytes),
      times(ratios?.wireBytes),
      percent(medians.lineUse),
      megabytes(medians.peakBytes),
      megabytes(medians.storedBytes),
      times(ratios?.storedBytes),
      megabytes(medians.addedBytes),
    ]);
  return aligned([head, ...rows]);
}
