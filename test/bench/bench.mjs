/**
 * `npm run bench`: moves one guest's image with vmferry and with the pipes people type, or backs it up with vmferry and with
 * other programs, and prints what each took.
 *
 *   npm run bench                               every peer but the slow ones, 3 to 5 rounds
 *   npm run bench -- --quick                    a small image, one round, two peers: under 3 minutes
 *   npm run bench -- --peers vmferry,e2image    these only (the slow ones, too, when named)
 *   npm run bench -- --rounds 5                 that many rounds of each
 *   npm run bench -- --backups                  backups, restores, checks and prunes instead; the same options
 *   npm run bench -- --list                     the peers, and the commands they are (of backups: with --backups)
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
import { backupPeers } from './backup-peers.mjs';
import { downloadPackages } from './guest-packages.mjs';
import { findPeers, peers } from './peers.mjs';
import { installPrograms } from './programs.mjs';
import { recipes } from './work-image.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const ROUNDS_OF_BACKUPS = 3;

function readOptions() {
  const { values } = parseArgs({
    options: {
      backups: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      peers: { type: 'string' },
      rounds: { type: 'string' },
    },
  });
  const count = values.rounds === undefined ? null : Number(values.rounds);
  if (count !== null && !(Number.isInteger(count) && count >= 1))
    throw new Error('--rounds takes a whole number from 1.');
  return { ...values, rounds: count ?? (values.quick ? 1 : values.backups ? ROUNDS_OF_BACKUPS : null) };
}

function chosenPeers({ peers: names, quick, backups }) {
  if (names !== undefined) return findPeers(names.split(','), backups ? backupPeers : peers);
  if (backups) return backupPeers;
  return peers.filter((peer) => (quick ? peer.quick : !peer.slow));
}

function list(backups) {
  if (backups)
    for (const { name, title, settings, steps } of backupPeers)
      console.log(
        [
          `${name}: ${title}`,
          settings,
          ...Object.entries(steps).map(([step, command]) => `${step}: ${command}`),
        ]
          .join('\n')
          .replaceAll('\n', '\n  ') + '\n',
      );
  else for (const { name, title, command } of peers) console.log(`${name}: ${title}\n  ${command}\n`);
}

function main() {
  const options = readOptions();
  if (options.list) {
    list(options.backups);
    return 0;
  }
  const chosen = chosenPeers(options);
  if (process.getuid() !== 0) throw new Error('The bench mounts images: run it as root.');
  prepare();
  installPrograms(chosen.flatMap((peer) => peer.programs));
  if (
    chosen.some((peer) => peer.name.startsWith('vmferry')) &&
    !runVisibly('npm', ['run', '--silent', 'build'])
  )
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
      join(here, options.backups ? 'backup-rounds.mjs' : 'rounds.mjs'),
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
