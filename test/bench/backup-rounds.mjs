/** The measuring part of `npm run bench -- --backups`, started by bench.mjs in namespaces of its own; see rounds.mjs. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { backupPeers, backupSteps } from './backup-peers.mjs';
import { backupTables, summarizeBackups } from './backup-summary.mjs';
import { ChangingImage } from './changing-image.mjs';
import { checkFileSystem, treeDigest } from './ext-image.mjs';
import { makeEmpty, measuredCommand } from './measured-run.mjs';
import { findPeers } from './peers.mjs';
import { cacheDirectory } from './places.mjs';
import { writeSshFiles } from './private-sshd.mjs';
import { run } from './programs.mjs';
import { finish, rotated, runLine } from './results.mjs';
import { workImage } from './work-image.mjs';

async function main({ recipe, peers: names, rounds }) {
  const peers = findPeers(names, backupPeers);
  run('ip', ['link', 'set', 'lo', 'up']);
  const states = workImage(recipe);
  const work = join(cacheDirectory, 'run');
  makeEmpty(work);
  // at a signal, too
  process.on('exit', () => rmSync(work, { recursive: true, force: true }));
  const image = join(work, 'guest.img');
  const common = {
    image,
    changing: new ChangingImage(image, [states.first, states.second]),
    expected: treeDigest(states.second),
    work,
    ssh: join(work, 'ssh'),
    log: join(work, 'output.log'),
  };
  const place = { ...common, ...writeSshFiles(common.ssh) };
  const runs = [];
  for (let round = 0; round < rounds; round++)
    for (const peer of rotated(peers, round)) await runPeer(peer, round, place, runs);
  const summary = summarizeBackups(peers, runs);
  finish({ recipe, summary, runs }, backupTables(summary));
}

/** All steps of a peer, one after the other: each needs what those before it have left. */
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

/** Every step begins alike: nothing left to write, the image and the store in the page cache. */
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

/** What is restored must be the second state: to the byte, or, where free blocks are left out, in all its files. */
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

// the first process of a namespace is not ended by a signal that it does not listen for
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
try {
  await main(JSON.parse(process.argv[2]));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
