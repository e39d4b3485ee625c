import { closeSync, existsSync, ftruncateSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageFile } from '../peers/guest-packages.mjs';
import { rewriteScattered } from './scattered-rewrite.mjs';
import { checkFileSystem, withMounted } from './ext-image.mjs';
import { cacheDirectory } from '../places.mjs';
import { run } from '../peers/programs.mjs';

const MIB = 2 ** 20;

/** A small recipe, quick to fetch and to unpack. */
const fewPackages = ['git', 'vim-runtime', 'gcc-12', 'locales', 'perl-modules-5.36'];

/** Files like a server's, of all kinds: programs, libraries, scripts, texts, compressed files. */
const manyPackages = [
  ...fewPackages,
  'cmake',
  'cmake-data',
  'containerd',
  'cpp-12',
  'emacs-common',
  'g++-12',
  'iso-codes',
  'libicu-dev',
  'libllvm14',
  'libpython3.11-dev',
  'libpython3.11-stdlib',
  'libruby3.1',
  'mariadb-server-core',
  'openjdk-17-jre-headless',
  'postgresql-15',
  'qemu-system-x86',
  'samba-libs',
  'texlive-base',
  'texlive-latex-extra',
];

/**
 * How the two states of a work image are made. `deletedShare` is the amount that is written and deleted again, as a share of
 * the packages' bytes. Increase the directory's number whenever the result changes.
 */
export const recipes = {
  full: {
    directory: 'guest-4096-1',
    sizeBytes: 4096 * MIB,
    packages: manyPackages,
    deletedShare: 0.87,
    rewrittenShare: 0.05,
  },
  quick: {
    directory: 'guest-512-1',
    sizeBytes: 512 * MIB,
    packages: fewPackages,
    deletedShare: 0.87,
    rewrittenShare: 0.05,
  },
};

/**
 * Makes the image of an ext3 guest after some use, unless it exists: package files, with deleted data between them, which is
 * free in the file system but still in the image file. A second state has pieces of 64 KiB rewritten. Returns the paths.
 */
export function workImage(recipe) {
  const directory = join(cacheDirectory, recipe.directory);
  const paths = { first: join(directory, 'guest.img'), second: join(directory, 'guest-changed.img') };
  const complete = join(directory, 'complete');
  if (existsSync(complete)) return paths;
  console.log(`Making the work image of ${recipe.sizeBytes / MIB} MiB; later runs use it again.`);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  makeFirstState(paths.first, recipe);
  run('cp', ['--sparse=always', '--reflink=auto', paths.first, paths.second]);
  withMounted(paths.second, 'rw', (mountPoint) => rewriteScattered(mountPoint, recipe.rewrittenShare));
  for (const path of [paths.first, paths.second]) checkFileSystem(path);
  writeFileSync(complete, '');
  return paths;
}

function makeFirstState(path, { sizeBytes, packages, deletedShare }) {
  const fd = openSync(path, 'w');
  ftruncateSync(fd, sizeBytes);
  closeSync(fd);
  run('mke2fs', ['-q', '-F', '-t', 'ext3', '-b', '4096', '-L', 'bench', path]);
  withMounted(path, 'rw', (mountPoint) => {
    const deleted = join(mountPoint, 'deleted');
    mkdirSync(deleted);
    for (const name of packages) {
      const file = packageFile(name);
      run('dpkg-deb', ['-x', file, mountPoint]);
      writeFileSync(join(deleted, name), otherBytesLike(file, deletedShare));
    }
    // sync before deleting: otherwise the data never reaches the disk
    run('sync', ['-f', mountPoint]);
    rmSync(deleted, { recursive: true });
  });
}

/**
 * As compressible as the package's files, but with other bytes: deleted data must not be recognised as a copy of the kept
 * files.
 */
function otherBytesLike(packageFilePath, share) {
  const tar = run('dpkg-deb', ['--fsys-tarfile', packageFilePath], { encoding: 'buffer' });
  const bytes = tar.subarray(0, Math.floor(tar.length * share));
  for (let index = 0; index < bytes.length; index++) bytes[index] ^= 0x5a;
  return bytes;
}
