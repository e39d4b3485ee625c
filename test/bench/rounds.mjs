/** The measuring part of the bench, started by bench.mjs in namespaces of its own; its argument is the request. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { checkFileSystem, treeDigest } from './images/ext-image.mjs';
import { findLines } from './lines/lines.mjs';
import { measuredRun, openWorkplace } from './measured-run.mjs';
import { openLine } from './lines/open-line.mjs';
import { findPeers } from './peers/peers.mjs';
import { finish, rotated, runLine } from './results.mjs';
import { runSession } from './session.mjs';
import { legend, summarize, summaryTable } from './summary.mjs';
import { cacheDirectory } from './places.mjs';
import { workImage } from './images/work-image.mjs';

async function main({ recipe, peers: names, lines, rounds }) {
  const peers = findPeers(names);
  const image = workImage(recipe).first;
  const expected = treeDigest(image);
  const workDirectory = join(cacheDirectory, 'run');
  // also after a signal
  process.on('exit', () => rmSync(workDirectory, { recursive: true, force: true }));
  for (const line of findLines(lines)) {
    console.log(`\n${line.title}:`);
    const opened = await openLine(line);
    const place = openWorkplace(workDirectory, image, opened);
    const runs = await runsOver(peers, rounds, place, expected);
    await opened.close();
    const summary = summarize(peers, runs);
    finish({ line: line.name, recipe, summary, runs }, `${summaryTable(summary)}\n\n${legend}`);
  }
}

async function runsOver(peers, askedRounds, place, expected) {
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
  return runs;
}

/** Checks the file system of each result, and once for each peer that all files are the same. */
function checkResult(out, expected) {
  checkFileSystem(out);
  if (expected !== null && treeDigest(out) !== expected)
    throw new Error(`The files in ${out} are not those of the source.`);
}

await runSession(main);
