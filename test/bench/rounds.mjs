/** The measuring part of the bench, started by bench.mjs in namespaces of its own; its argument is the request. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { checkFileSystem, treeDigest } from './ext-image.mjs';
import { measuredRun, openWorkplace } from './measured-run.mjs';
import { findPeers } from './peers.mjs';
import { run } from './programs.mjs';
import { finish, rotated, runLine } from './results.mjs';
import { summarize, summaryTable } from './summary.mjs';
import { cacheDirectory } from './places.mjs';
import { workImage } from './work-image.mjs';

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
    for (const peer of rotated(turn, round)) {
      const figures = await measuredRun(peer, place);
      checkResult(place.out, round === 0 ? expected : null);
      runs.push({ peer: peer.name, round: round + 1, ...figures });
      console.log(runLine(runs.at(-1)));
    }
  }
  const summary = summarize(peers, runs);
  finish({ recipe, summary, runs }, summaryTable(summary));
}

/** The result must hold the same files; they are all compared once a peer, its file system is checked every time. */
function checkResult(out, expected) {
  checkFileSystem(out);
  if (expected !== null && treeDigest(out) !== expected)
    throw new Error(`The files in ${out} are not those of the source.`);
}

// the first process of a namespace is not ended by a signal that it does not listen for
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
try {
  await main(JSON.parse(process.argv[2]));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
