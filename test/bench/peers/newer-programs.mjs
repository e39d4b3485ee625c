import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory } from '../places.mjs';
import { run } from './programs.mjs';

/**
 * Programs of which a newer Debian suite has a newer version than this machine's release. The newest borg that runs with the
 * Python of Debian 12 is in its backports.
 */
const newerPrograms = {
  restic: { packageName: 'restic', suite: 'sid' },
  borg: { packageName: 'borgbackup', suite: 'bookworm-backports' },
};

/** The directory of the newer programs, to be put first in PATH. */
export const newerProgramDirectory = join(cacheDirectory, 'newer', 'bin');

/**
 * Fetches the newer programs among these. They are unpacked, not installed, so nothing on this machine changes, and they use
 * the dependencies of the older packages.
 */
export function fetchNewerPrograms(programs) {
  const missing = programs.filter(
    (program) => program in newerPrograms && !existsSync(join(newerProgramDirectory, program)),
  );
  if (missing.length === 0) return;
  console.log(`Fetching newer versions of ${missing.join(', ')} (none is installed).`);
  const apt = readSuites([...new Set(missing.map((program) => newerPrograms[program].suite))]);
  for (const program of missing) fetchProgram(program, apt);
}

/** Returns a function that runs apt-get with only these suites, without changing this machine's lists. */
function readSuites(suites) {
  const lists = join(cacheDirectory, 'newer', 'apt');
  mkdirSync(join(lists, 'lists', 'partial'), { recursive: true });
  const sources = join(lists, 'sources.list');
  const key = '/usr/share/keyrings/debian-archive-keyring.gpg';
  const lines = suites.map((suite) => `deb [signed-by=${key}] http://deb.debian.org/debian ${suite} main\n`);
  writeFileSync(sources, lines.join(''));
  const settings = {
    'Dir::Etc::sourcelist': sources,
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::State::lists': join(lists, 'lists'),
    'Dir::Cache': lists,
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  const apt = (args, cwd) => run('apt-get', [...options, '--quiet', ...args], { cwd });
  apt(['update'], lists);
  return apt;
}

function fetchProgram(program, apt) {
  const { packageName, suite } = newerPrograms[program];
  const partial = mkdtempSync(join(cacheDirectory, 'fetching-'));
  const tree = join(cacheDirectory, 'newer', program);
  try {
    apt(['download', `${packageName}/${suite}`], partial);
    const [file] = readdirSync(partial);
    run('dpkg-deb', ['-x', join(partial, file), join(partial, 'tree')]);
    rmSync(tree, { recursive: true, force: true });
    renameSync(join(partial, 'tree'), tree);
  } finally {
    rmSync(partial, { recursive: true });
  }
  // Programs in Python find their modules by this variable; others ignore it.
  const modules = join(tree, 'usr/lib/python3/dist-packages');
  const script = `#!/bin/sh\nPYTHONPATH=${modules} exec ${join(tree, 'usr/bin', program)} "$@"\n`;
  mkdirSync(newerProgramDirectory, { recursive: true });
  writeFileSync(join(newerProgramDirectory, program), script, { mode: 0o755 });
}
