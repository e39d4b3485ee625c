import { spawnSync } from 'node:child_process';
import { runVisibly } from '../../setup/prepare.mjs';

/** The programs that the bench and its peers call, and the Debian package that each comes from. */
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

/** Installs what is missing of these and of the bench's own. */
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

/** Runs a program and gives its stdout; throws with all it printed when it does not exit with 0. */
export function run(program, args, options = {}) {
  const result = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 1e9, ...options });
  if (result.error !== undefined) throw result.error;
  if (result.status !== 0)
    throw new Error(`${program} ${args.join(' ')}: exit ${result.status}\n${result.stdout}${result.stderr}`);
  return result.stdout;
}
