/** The measuring part of `npm run bench -- --backups`, started by bench.mjs in namespaces of its own; see rounds.mjs. */
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';
import { backupPeers, backupSteps } from './peers/backup-peers.mjs';
import { backupTables, summarizeBackups } from './backup-summary.mjs';
import { ChangingImage } from './images/changing-image.mjs';
import { checkFileSystem, treeDigest } from './images/ext-image.mjs';
import { findLines } from './lines/lines.mjs';
import { makeEmpty, measuredCommand } from './measured-run.mjs';
import { openLine } from './lines/open-line.mjs';
import { findPeers } from './peers/peers.mjs';
import { cacheDirectory, vmferryProgram } from './places.mjs';
import { writeSshFiles } from './lines/private-sshd.mjs';
import { run } from './peers/programs.mjs';
import { mountReflinkFileSystem } from './images/reflink-file-system.mjs';
import { finish, rotated, runLine } from './results.mjs';
import { runSession } from './session.mjs';
import { legend } from './summary.mjs';
import { workImage } from './images/work-image.mjs';

async function main({ recipe, peers: names, lines, rounds }) {
  const peers = findPeers(names, backupPeers).map((peer) => ({
    ...peer,
    title: `${peer.title} ${versionOf(peer)}`,
  }));
  const states = workImage(recipe);
  const work = join(cacheDirectory, 'run');
  makeEmpty(work);
  const image = join(work, 'images', 'guest.img');
  // room for rewritten data beside a clone
  const mounted = mountReflinkFileSystem(join(work, 'images.xfs'), dirname(image), 2 * recipe.sizeBytes);
  // also after a signal
  process.on('exit', () => {
    mounted.unmount();
    rmSync(work, { recursive: true, force: true });
  });
  const common = {
    image,
    changing: new ChangingImage(image, [states.first, states.second]),
    expected: treeDigest(states.second),
    work,
    ssh: join(work, 'ssh'),
    log: join(work, 'output.log'),
  };
  for (const line of findLines(lines)) {
    console.log(`\n${line.title}:`);
    const opened = await openLine(line);
    const place = { ...common, line: opened, ...writeSshFiles(common.ssh, opened) };
    const runs = [];
    for (let round = 0; round < rounds; round++)
      for (const peer of rotated(peers, round)) await runPeer(peer, round, place, runs);
    await opened.close();
    const summary = summarizeBackups(peers, runs);
    const figures = { line: line.name, recipe, imageFileSystem: 'xfs', summary, runs };
    finish(figures, `${backupTables(summary)}\n\n${legend}`);
  }
}

/** The program's version, as it prints it. */
function versionOf({ name, version }) {
  const printed = run('bash', ['-c', version], {
    env: { ...process.env, VMFERRY: `${process.execPath} ${vmferryProgram}` },
  });
  const [found] = /\d+(\.\d+)+\S*/.exec(printed) ?? [];
  if (found === undefined) throw new Error(`${name} does not say its version: ${printed}`);
  return found;
}

/** All steps of a peer, in order: each needs the result of the one before. */
async function runPeer(peer, round, place, runs) {
  const own = placeOf(peer, place);
  for (const directory of [own.store, own.scratch, own.restored]) makeEmpty(directory);
  writeFileSync(own.passphraseFile, 'correct horse battery staple\n', { mode: 0o600 });
  place.changing.become(0);
  if ('init' in peer.steps) await measuredStep(peer, 'init', own);
  let before = 0;
  for (const { name: step } of backupSteps.filter(({ name }) => name in peer.steps)) {
    if (step === 'second') place.changing.become(1);
    const figures = await measuredStep(peer, step, own);
    const storedBytes = sizeOf(own.store);
    runs.push({
      peer: peer.name,
      round: round + 1,
      step,
      ...figures,
      storedBytes,
      addedBytes: storedBytes - before,
    });
    before = storedBytes;
    console.log(runLine(runs.at(-1)));
    if (step === 'restore' || (step === 'second' && !('restore' in peer.steps))) check(peer, round, own);
  }
  for (const directory of [own.store, own.scratch, own.restored]) makeEmpty(directory);
  removeAllBut(place.image);
}

/** Removes what a peer keeps beside the image, as vmferry does. */
function removeAllBut(image) {
  const directory = dirname(image);
  for (const name of readdirSync(directory))
    if (name !== basename(image)) rmSync(join(directory, name), { recursive: true });
}

function placeOf({ name }, place) {
  const scratch = join(place.work, 'old', name);
  return {
    ...place,
    scratch,
    store: join(place.work, 'new', name),
    restored: join(place.work, 'restored', name),
    passphraseFile: join(scratch, 'passphrase'),
  };
}

/** Every step begins in the same state: nothing left to write, the image and the store in the page cache. */
async function measuredStep({ name, settings, steps }, step, place) {
  run('sync', []);
  run('find', [
    place.image,
    place.store,
    '-type',
    'f',
    '-exec',
    'sh',
    '-c',
    'cat "$@" > /dev/null',
    'sh',
    '{}',
    '+',
  ]);
  const variables = {
    IMAGE: place.image,
    STORE: place.store,
    RESTORED: place.restored,
    PASSPHRASE_FILE: place.passphraseFile,
  };
  return measuredCommand(`${name}, ${step},`, `${settings}\n${steps[step]}`, variables, place);
}

function sizeOf(directory) {
  return Number(run('du', ['-sB1', '--apparent-size', directory]).split('\t')[0]);
}

/** The restored image must be the second state: byte by byte, or in all files if free blocks are left out. */
function check({ restoredPath, keepsAllBytes }, round, place) {
  const { image, expected } = place;
  const path = restoredPath(place);
  if (keepsAllBytes) {
    run('cmp', [image, path]);
    return;
  }
  checkFileSystem(path);
  if (round === 0 && treeDigest(path) !== expected)
    throw new Error(`The files in ${path} are not those of the source.`);
}

await runSession(main);
