import { backupSteps } from './peers/backup-peers.mjs';
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

/**
 * For each step and each peer that has it: the medians, and their ratios to vmferry. Encrypting peers are compared with the
 * encrypting vmferry.
 */
export function summarizeBackups(peers, runs) {
  return backupSteps.map(({ name, title }) => {
    const runsOfStep = runs.filter(({ step }) => step === name);
    const taking = peers.filter(({ steps }) => name in steps);
    const groups = references(taking).map((reference) => ({
      reference,
      peers: summarize(
        taking.filter((peer) => peer.reference === reference),
        runsOfStep,
        measures,
        reference,
      ),
    }));
    return { step: name, title, groups };
  });
}

function references(peers) {
  return [...new Set(peers.map(({ reference }) => reference))];
}

/** A Markdown table for each step and each reference, the quickest first. */
export function backupTables(summary) {
  return summary
    .flatMap(({ title, groups }) =>
      groups.map(({ reference, peers }) => `${title} (× is against ${reference}):\n\n${table(peers)}`),
    )
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
