/** The measuring part of `npm run bench -- --growth`, started by bench.mjs in namespaces of its own; see rounds.mjs. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { checkFileSystem } from '../images/ext-image.mjs';
import { makeGrowthImage } from '../images/growth-images.mjs';
import { growthSummary, growthTable } from './growth-summary.mjs';
import { findLines } from '../lines/lines.mjs';
import { makeEmpty, measuredRun, openWorkplace } from '../measured-run.mjs';
import { openLine } from '../lines/open-line.mjs';
import { findPeers } from '../peers/peers.mjs';
import { cacheDirectory } from '../places.mjs';
import { finish, rotated, runLine } from '../results.mjs';
import { runSession } from '../session.mjs';

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const usedMebibytes = { full: [256, 512, 1024, 2048], quick: [32, 64, 128, 256] };
const sizeGibibytes = [4, 64, 1024, 4096];

async function main({ recipe, quick, lines, rounds }) {
  const [peer] = findPeers(['vmferry']);
  const workDirectory = join(cacheDirectory, 'run');
  const imageDirectory = join(cacheDirectory, 'growth');
  // also after a signal
  process.on('exit', () => {
    for (const directory of [workDirectory, imageDirectory])
      rmSync(directory, { recursive: true, force: true });
  });
  makeEmpty(imageDirectory);
  const cases = casesOf(quick ? usedMebibytes.quick : usedMebibytes.full, imageDirectory);
  console.log('Making the images.');
  for (const each of cases) makeGrowthImage(each.image, { ...each, packages: recipe.packages });
  const [line] = findLines(lines);
  const opened = await openLine(line);
  const runs = [];
  for (let round = 0; round < rounds; round++)
    for (const { name, image } of rotated(cases, round)) {
      const place = openWorkplace(workDirectory, image, opened);
      const figures = await measuredRun(peer, place);
      if (round === 0) checkFileSystem(place.out);
      runs.push({ case: name, round: round + 1, ...figures });
      console.log(runLine({ ...runs.at(-1), peer: name }));
    }
  await opened.close();
  const summary = growthSummary(cases, runs);
  finish({ line: line.name, summary, runs }, growthTable(summary));
}

/**
 * The cases: growing amounts in use in the smallest image, the smallest amount in growing images, and the largest image as
 * file systems are usually made.
 */
function casesOf(used, directory) {
  const [smallest, ...larger] = sizeGibibytes;
  const together = [
    ...used.map((mebibytes) => ({ mebibytes, gibibytes: smallest })),
    ...larger.map((gibibytes) => ({ mebibytes: used[0], gibibytes })),
  ].map((each) => ({ ...each, layout: 'together' }));
  const usual = { mebibytes: used[0], gibibytes: sizeGibibytes.at(-1), layout: 'usual' };
  return [...together, usual].map(({ mebibytes, gibibytes, layout }) => ({
    name: `${mebibytes} MiB of ${gibibytes} GiB${layout === 'usual' ? ', scattered tables' : ''}`,
    usedBytes: mebibytes * MIB,
    sizeBytes: gibibytes * GIB,
    layout,
    image: join(directory, `${mebibytes}-of-${gibibytes}-${layout}.img`),
  }));
}

await runSession(main);
