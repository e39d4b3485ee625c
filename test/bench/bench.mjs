/**
 * `npm run bench`: moves one guest's image with vmferry and with other tools' pipes, or backs it up with vmferry and with
 * other programs, and prints the cost of each.
 *
 *   npm run bench                               every peer except the slow ones, 3 to 5 rounds
 *   npm run bench -- --quick                    a small image, one round, two peers: under 3 minutes
 *   npm run bench -- --peers vmferry,e2image    only these (slow ones, too)
 *   npm run bench -- --rounds 5                 this number of rounds
 *   npm run bench -- --line 100mbit             over this line; several: --line 1gbit,100mbit; all: --lines all
 *   npm run bench -- --backups                  measures backups, restores, checks and prunes; same options
 *   npm run bench -- --list                     the peers and their commands (for backups: with --backups)
 *   npm run bench -- --parts                    each part of a move alone, and a whole move; --level 1 to 19
 *   npm run bench -- --archives                 exports and imports, against a backup, tar and lbzip2
 *   npm run bench -- --growth                   time and memory for more data, and for larger images
 *   npm run bench -- --downtime                 how long a guest that writes all the time is down
 *
 * Needs root: it mounts images and installs the peers' Debian packages. Everything that it makes is in
 * $XDG_CACHE_HOME/vmferry-bench, else in vmferry-bench in the temporary directory; the next run uses the work image again.
 * Figures also go to bench-results/ as JSON. See doc/benchmarks.md.
 */
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { prepare, projectDirectory, runVisibly } from '../setup/prepare.mjs';
import { backupPeers } from './peers/backup-peers.mjs';
import { downloadPackages, downloadPackagesFor } from './peers/guest-packages.mjs';
import { fetchNewerPrograms, newerProgramDirectory } from './peers/newer-programs.mjs';
import { benches, readOptions } from './options.mjs';
import { peers } from './peers/peers.mjs';
import { installPrograms } from './peers/programs.mjs';
import { recipes } from './images/work-image.mjs';

const here = dirname(fileURLToPath(import.meta.url));

function list(bench) {
  if (bench === 'backups')
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

/** By jest, because it uses the hosts and guests of the tests. */
function measureDowntime(request) {
  process.env.VMFERRY_BENCH = JSON.stringify(request);
  process.env.NODE_OPTIONS = '--experimental-vm-modules --disable-warning=ExperimentalWarning';
  const jest = join(projectDirectory, 'node_modules', 'jest', 'bin', 'jest.js');
  const args = [`--roots=${join(here, 'downtime')}`, '--maxWorkers=1'];
  return runVisibly(process.execPath, [jest, ...args]) ? 0 : 1;
}

function main() {
  const { bench, list: onlyList, quick, lines, level, peers: chosen, rounds } = readOptions();
  if (onlyList) {
    list(bench);
    return 0;
  }
  if (process.getuid() !== 0) throw new Error('The bench mounts images: run it as root.');
  prepare();
  const programs = chosen.flatMap((peer) => peer.programs);
  installPrograms(programs);
  fetchNewerPrograms(programs);
  process.env.PATH = `${newerProgramDirectory}:${process.env.PATH}`;
  if (!runVisibly('npm', ['run', '--silent', 'build']))
    throw new Error('vmferry could not be built; the lines above say why.');
  if (bench === 'downtime') return measureDowntime({ quick, rounds });
  const recipe = quick || bench === 'growth' ? recipes.quick : recipes.full;
  // growth makes its images each time
  if (bench === 'growth') downloadPackages(recipe.packages);
  else downloadPackagesFor(recipe);
  // bzip2 is measured on the small image
  if (bench === 'archives') downloadPackagesFor(recipes.quick);
  const request = { recipe, quick, peers: chosen.map((peer) => peer.name), lines, level, rounds };
  // Namespaces of its own: the loopback then counts only the move, and processes and mounts end with them.
  const { status, error } = spawnSync(
    'unshare',
    [
      '--net',
      '--mount-proc',
      '--pid',
      '--fork',
      '--kill-child',
      process.execPath,
      join(here, benches[bench].script),
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
