import { basename } from 'node:path';
import { tiers } from './tiers.mjs';

const longest = tiers.flatMap((tier) => tier.longest ?? []);

/**
 * A test sequencer of jest: starts the files that a tier lists in `longest` in that order, and then all others. By
 * itself jest starts with the largest files, and a worker may be left with a long one at the end, while the other has nothing to do.
 */
export default class LongestFirst {
  sort(tests) {
    return [...tests].sort((one, other) => rank(one) - rank(other) || one.path.localeCompare(other.path));
  }

  allFailedTests(tests) {
    return tests;
  }

  cacheResults() {}
}

function rank({ path }) {
  const place = longest.indexOf(basename(path, '.test.ts'));
  return place < 0 ? longest.length : place;
}
