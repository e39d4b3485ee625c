/** The measuring part of `npm run bench -- --archives`, started by bench.mjs in namespaces of its own; see rounds.mjs. */
import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { archiveSummary, archiveTable } from './archive-summary.mjs';
import { archiveSteps, bzip2Steps, fallbackStep } from './archive-steps.mjs';
import { checkFileSystem, treeDigest } from '../images/ext-image.mjs';
import { recipes, workImage } from '../images/work-image.mjs';
import { findLines } from '../lines/lines.mjs';
import { openLine } from '../lines/open-line.mjs';
import { makeEmpty, measuredCommand, openWorkplace } from '../measured-run.mjs';
import { run } from '../peers/programs.mjs';
import { cacheDirectory, vmferryProgram } from '../places.mjs';
import { finish, runLine } from '../results.mjs';
import { runSession } from '../session.mjs';

const PIECE_BYTES = 4 * 2 ** 20;

async function main({ recipe, lines, rounds }) {
  const large = workImage(recipe).first;
  const small = workImage(recipes.quick).first;
  const workDirectory = join(cacheDirectory, 'run');
  // also after a signal
  process.on('exit', () => rmSync(workDirectory, { recursive: true, force: true }));
  const [line] = findLines(lines);
  const opened = await openLine(line);
  const place = { ...openWorkplace(workDirectory, large, opened), kept: join(workDirectory, 'kept') };
  makeEmpty(place.kept);
  const runs = [];
  for (let round = 1; round <= rounds; round++) {
    for (const step of archiveSteps) runs.push(await measuredStep(step, round, large, place));
    for (const step of bzip2Steps) runs.push(await measuredStep(step, round, small, place));
  }
  runs.push(await measuredStep(fallbackStep, 1, small, place));
  await opened.close();
  const summary = archiveSummary(runs, { large: statSync(large).size, small: statSync(small).size });
  finish({ line: line.name, recipe, summary, runs }, archiveTable(summary));
}

/** Every step begins in the same state: nothing left to write, what it reads in the page cache, and an empty directory. */
async function measuredStep({ name, before, command }, round, image, place) {
  for (const directory of [place.target, place.scratch]) makeEmpty(directory);
  const variables = {
    IMAGE: image,
    OUT: place.target,
    KEPT: place.kept,
    USED_PIECES: String(Math.ceil(usedBytes(image) / PIECE_BYTES)),
  };
  if (before !== undefined) run('bash', ['-ec', before], { env: environmentOf(variables, place) });
  run('sync', []);
  run('sh', ['-c', 'cat "$@" > /dev/null', 'sh', image, ...archivesIn(place.kept)]);
  const figures = await measuredCommand(name, command, variables, place);
  if (name === 'import' && round === 1) check(image, join(place.target, 'guest.img'));
  console.log(runLine({ peer: name, round, ...figures }));
  return { step: name, round, ...figures };
}

function environmentOf(variables, { scratch }) {
  return {
    ...process.env,
    ...variables,
    VMFERRY: `${process.execPath} ${vmferryProgram}`,
    VMFERRY_STATE_DIR: join(scratch, 'state'),
  };
}

function archivesIn(directory) {
  return run('find', [directory, '-type', 'f']).split('\n').filter(Boolean);
}

/** Of the blocks that the file system uses. */
function usedBytes(image) {
  const printed = run('dumpe2fs', ['-h', image]);
  const numberAfter = (words) => Number(new RegExp(`^${words}: +([0-9]+)`, 'm').exec(printed)?.[1]);
  return (numberAfter('Block count') - numberAfter('Free blocks')) * numberAfter('Block size');
}

function check(image, imported) {
  checkFileSystem(imported);
  if (treeDigest(imported) !== treeDigest(image))
    throw new Error(`The files in ${imported} are not those of the source.`);
}

await runSession(main);
