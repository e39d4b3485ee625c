import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { runVisibly } from '../../setup/prepare.mjs';
import { run } from './programs.mjs';
import { cacheDirectory } from '../places.mjs';

/** Fetches the packages for a recipe's image, unless the image or the packages exist. */
export function downloadPackagesFor(recipe) {
  if (!existsSync(join(cacheDirectory, recipe.directory, 'complete'))) downloadPackages(recipe.packages);
}

/** Fetches the missing packages. */
export function downloadPackages(names) {
  mkdirSync(packageDirectory(), { recursive: true });
  const missing = names.filter((name) => packageFile(name) === undefined);
  if (missing.length === 0) return;
  console.log(`Fetching ${missing.length} Debian packages for the work image (none is installed).`);
  runVisibly('apt-get', ['update']);
  // so that a partial download does not count as complete
  const partial = mkdtempSync(join(cacheDirectory, 'fetching-'));
  try {
    run('apt-get', ['download', '--quiet', ...missing], { cwd: partial });
    for (const file of readdirSync(partial)) renameSync(join(partial, file), join(packageDirectory(), file));
  } finally {
    rmSync(partial, { recursive: true });
  }
}

/** The path of the package; undefined if it was not fetched. Debian names it NAME_VERSION_ARCHITECTURE.deb. */
export function packageFile(name) {
  const file = readdirSync(packageDirectory()).find((entry) => entry.startsWith(`${name}_`));
  return file === undefined ? undefined : join(packageDirectory(), file);
}

function packageDirectory() {
  return join(cacheDirectory, 'packages');
}
