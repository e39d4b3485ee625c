/** The measuring part of the bench, started by bench.mjs in namespaces of its own; its argument is the request. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { projectDirectory } from '../setup/prepare.mjs';
import { checkFileSystem, treeDigest } from './ext-image.mjs';
import { describeMachine } from './machine.mjs';
import { measuredRun, openWorkplace } from './measured-run.mjs';
import { findPeers } from './peers.mjs';
import { run } from './programs.mjs';
import { summarize, summaryTable } from './summary.mjs';
import { cacheDirectory } from './places.mjs';
import { workImage } from './work-image.mjs';

/** Above this share of the cores' time spent on others, figures of a run are not worth much. */
const BUSY_ELSEWHERE = 0.15;

async function main({ recipe, peers: names, rounds: askedRounds }) {
  const peers = findPeers(names);
  run('ip', ['link', 'set', 'lo', 'up']);
  const image = workImage(recipe).first;
  const expected = treeDigest(image);
  const workDirectory = join(cacheDirectory, 'run');
  const place = openWorkplace(workDirectory, image);
  // at a signal, too
  process.on('exit', () => rmSync(workDirectory, { recursive: true, force: true }));
  const runs = [];
  const most = askedRounds ?? Math.max(...peers.map((peer) => peer.rounds));
  for (let round = 0; round < most; round++) {
    const turn = peers.filter((peer) => round < (askedRounds ?? peer.rounds));
    // none is always the one that runs behind the same other
    for (const peer of rotated(turn, round)) {
      const figures = await measuredRun(peer, place);
      checkResult(place.out, round === 0 ? expected : null);
      runs.push({ peer: peer.name, round: round + 1, ...figures });
      console.log(runLine(runs.at(-1)));
    }
  }
  finish(recipe, peers, runs);
}

/** The result must hold the same files; they are all compared once a peer, its file system is checked every time. */
function checkResult(out, expected) {
  checkFileSystem(out);
  if (expected !== null && treeDigest(out) !== expected)
    throw new Error(`The files in ${out} are not those of the source.`);
}

function rotated(list, by) {
  const start = by % list.length;
  return [...list.slice(start), ...list.slice(0, start)];
}

function runLine({ peer, round, wallSeconds, cpuSeconds, wireBytes, peakBytes, elsewhereCpuSeconds }) {
  const busy = elsewhereCpuSeconds > BUSY_ELSEWHERE * wallSeconds * cpus().length;
  return [
    `round ${round}  ${peer.padEnd(10)} ${wallSeconds.toFixed(2).padStart(8)} s`,
    `${cpuSeconds.toFixed(1).padStart(7)} s CPU`,
    `${(wireBytes / 1e6).toFixed(1).padStart(7)} MB sent`,
    `${(peakBytes / 1e6).toFixed(0).padStart(5)} MB memory`,
    busy ? `  busy elsewhere: ${elsewhereCpuSeconds.toFixed(1)} s CPU` : '',
  ].join(' ');
}

function finish(recipe, peers, runs) {
  const machine = describeMachine(cacheDirectory);
  const summary = summarize(peers, runs);
  const results = join(projectDirectory, 'bench-results');
  const file = join(results, `${new Date().toISOString().replaceAll(':', '-')}.json`);
  mkdirSync(results, { recursive: true });
  writeFileSync(file, `${JSON.stringify({ machine, recipe, line: 'loopback', summary, runs }, null, 2)}\n`);
  console.log(`\n${summaryTable(summary)}\n\nMedians; in brackets how many runs; × is against vmferry.`);
  console.log(
    Object.entries(machine)
      .map(([name, value]) => `${name}: ${value}`)
      .join(' · '),
  );
  console.log(`All figures: ${file}`);
}

// the first process of a namespace is not ended by a signal that it does not listen for
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
try {
  await main(JSON.parse(process.argv[2]));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
