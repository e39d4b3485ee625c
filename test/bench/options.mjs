import { parseArgs } from 'node:util';
import { backupPeers } from './peers/backup-peers.mjs';
import { findLines } from './lines/lines.mjs';
import { findPeers, peers } from './peers/peers.mjs';

/** What can be measured, its script, and its number of rounds (null: each peer has its own). */
export const benches = {
  moves: { script: 'rounds.mjs', rounds: null },
  backups: { script: 'backup-rounds.mjs', rounds: 3 },
  parts: { script: 'parts/parts-rounds.mjs', rounds: 3 },
  downtime: { script: null, rounds: 3 },
  growth: { script: 'growth/growth-rounds.mjs', rounds: 3 },
  archives: { script: 'archives/archive-rounds.mjs', rounds: 3 },
};

const vmferryAlone = new Set(['parts', 'growth', 'downtime', 'archives']);

/** zstd's default level, also of e2image's pipe. */
const USUAL_LEVEL = 3;

/** Reads the command line (see bench.mjs). Throws Errors with messages for people. */
export function readOptions() {
  const { values } = parseArgs({
    options: {
      backups: { type: 'boolean', default: false },
      parts: { type: 'boolean', default: false },
      growth: { type: 'boolean', default: false },
      downtime: { type: 'boolean', default: false },
      archives: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      line: { type: 'string', multiple: true },
      lines: { type: 'string', multiple: true },
      level: { type: 'string' },
      peers: { type: 'string' },
      rounds: { type: 'string' },
    },
  });
  const bench = chosenBench(values);
  const { quick } = values;
  return {
    bench,
    quick,
    list: values.list,
    lines: chosenLines(bench, [...(values.line ?? []), ...(values.lines ?? [])]),
    level: wholeNumber('level', values.level, 19) ?? USUAL_LEVEL,
    peers: chosenPeers(bench, values.peers, quick),
    rounds: wholeNumber('rounds', values.rounds, 1000) ?? (quick ? 1 : benches[bench].rounds),
  };
}

function chosenBench(values) {
  const chosen = ['backups', 'parts', 'growth', 'downtime', 'archives'].filter((name) => values[name]);
  if (chosen.length > 1) throw new Error(`One at a time: ${chosen.map((name) => `--${name}`).join(' or ')}.`);
  return chosen[0] ?? 'moves';
}

function chosenLines(bench, values) {
  if (values.length === 0) return ['loopback'];
  if (vmferryAlone.has(bench)) throw new Error(`--${bench} has lines of its own, or none: leave out --line.`);
  return findLines(values.flatMap((value) => value.split(','))).map(({ name }) => name);
}

function chosenPeers(bench, names, quick) {
  if (vmferryAlone.has(bench)) {
    if (names !== undefined) throw new Error(`--${bench} measures vmferry alone: leave out --peers.`);
    return findPeers(['vmferry']);
  }
  if (names !== undefined) return findPeers(names.split(','), bench === 'backups' ? backupPeers : peers);
  if (bench === 'backups') return backupPeers;
  return peers.filter((peer) => (quick ? peer.quick : !peer.slow));
}

function wholeNumber(name, value, most) {
  if (value === undefined) return null;
  const number = Number(value);
  if (Number.isInteger(number) && number >= 1 && number <= most) return number;
  throw new Error(`--${name} takes a whole number from 1 to ${most}.`);
}
