import { spawnSync } from 'node:child_process';
import { runVisibly } from '../../setup/prepare.mjs';

/** The programs of the bench and its peers, each with its Debian package. */
const packageByProgram = {
  borg: ['borgbackup', 'python3-packaging'],
  bunzip2: 'bzip2',
  bzip2: 'bzip2',
  e2image: 'e2fsprogs',
  'partclone.ext3': 'partclone',
  ip: 'iproute2',
  'mkfs.xfs': 'xfsprogs',
  'qemu-img': 'qemu-utils',
  restic: 'restic',
  rsync: 'rsync',
  scp: 'openssh-client',
  tar: 'tar',
  tc: 'iproute2',
  time: 'time',
  zstd: 'zstd',
};

/** Installs missing programs of these peers and of the bench. */
export function installPrograms(programs) {
  const missing = new Set(
    ['time', 'ip', 'tc', 'mkfs.xfs', ...programs]
      .filter((program) => spawnSync('which', [program]).status !== 0)
      .flatMap((program) => packageByProgram[program]),
  );
  if (missing.size === 0) return;
  console.log(`Installing the Debian packages ${[...missing].join(' ')}.`);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  const install = ['install', '-y', '--no-install-recommends', ...missing];
  if (!runVisibly('apt-get', ['update'], env) || !runVisibly('apt-get', install, env))
    throw new Error('apt-get failed; the lines above say why.');
}

/** Runs a program and returns its stdout; throws with all its output unless it exits with 0. */
export function run(program, args, options = {}) {
  const result = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 1e9, ...options });
  if (result.error !== undefined) throw result.error;
  if (result.status !== 0)
    throw new Error(`${program} ${args.join(' ')}: exit ${result.status}\n${result.stdout}${result.stderr}`);
  return result.stdout;
}
