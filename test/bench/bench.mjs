/**
 * `npm run bench`: moves one guest's image with vmferry and with the pipes people type, and prints what each took.
 *
 *   npm run bench                               every peer but the slow ones, 3 to 5 rounds
 *   npm run bench -- --quick                    a small image, one round, two peers: under 3 minutes
 *   npm run bench -- --peers vmferry,e2image    these only (the slow ones, too, when named)
 *   npm run bench -- --rounds 5                 that many rounds of each
 *   npm run bench -- --list                     the peers, and the commands they are
 *
 * Needs root: it mounts images and installs the peers' Debian packages. Everything it makes lies in
 * $XDG_CACHE_HOME/vmferry-bench, else in vmferry-bench of the system's temporary directory; the work image in
 * there is used again by the next run. Figures go to bench-results/ as JSON, too. See doc/benchmarks.md.
 */
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { prepare, runVisibly } from '../setup/prepare.mjs';
import { downloadPackages } from './guest-packages.mjs';
import { findPeers, peers } from './peers.mjs';
import { installPrograms } from './programs.mjs';
import { recipes } from './work-image.mjs';

const rounds = join(dirname(fileURLToPath(import.meta.url)), 'rounds.mjs');

function readOptions() {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      peers: { type: 'string' },
      rounds: { type: 'string' },
    },
  });
  const count = values.rounds === undefined ? null : Number(values.rounds);
  if (count !== null && !(Number.isInteger(count) && count >= 1))
    throw new Error('--rounds takes a whole number from 1.');
  return { ...values, rounds: count ?? (values.quick ? 1 : null) };
}

function chosenPeers({ peers: names, quick }) {
  if (names !== undefined) return findPeers(names.split(','));
  return peers.filter((peer) => (quick ? peer.quick : !peer.slow));
}

function list() {
  for (const { name, title, command } of peers) console.log(`${name}: ${title}\n  ${command}\n`);
}

function main() {
  const options = readOptions();
  if (options.list) {
    list();
    return 0;
  }
  const chosen = chosenPeers(options);
  if (process.getuid() !== 0) throw new Error('The bench mounts images: run it as root.');
  prepare();
  installPrograms(chosen.flatMap((peer) => peer.programs));
  if (chosen.some((peer) => peer.name === 'vmferry') && !runVisibly('npm', ['run', '--silent', 'build']))
    throw new Error('vmferry could not be built; the lines above say why.');
  const recipe = options.quick ? recipes.quick : recipes.full;
  downloadPackages(recipe);
  const request = { recipe, peers: chosen.map((peer) => peer.name), rounds: options.rounds };
  // A network of its own, so that its loopback counts nothing but the move; processes and mounts that end with it.
  const { status, error } = spawnSync(
    'unshare',
    [
      '--net',
      '--mount-proc',
      '--pid',
      '--fork',
      '--kill-child',
      process.execPath,
      rounds,
      JSON.stringify(request),
    ],
    { stdio: 'inherit' },
  );
  if (error !== undefined) throw error;
  return status ?? 1;
}

try {
  process.exitCode = main();
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
