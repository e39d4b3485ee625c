/**
 * `npm test`: runs everything, in any state of the clone and the machine. Uses only Node itself until the rest is
 * installed.
 *
 *   npm test                          the checks and every tier
 *   npm test -- sftp                  the tests whose path matches, of every tier; no checks
 *   npm test -- unit integration      these tiers; no checks
 *
 * The last line of stdout is `N passed, N failed, N skipped`; a check counts as one test. The exit status is 1 when
 * anything failed.
 */
import process from 'node:process';
import { runTier } from './setup/jest-tier.mjs';
import { prepare, runVisibly } from './setup/prepare.mjs';
import { tiers } from './setup/tiers.mjs';
import { Total } from './setup/total.mjs';

const checks = ['format:check', 'lint', 'typecheck'];

const total = new Total();

function runScript(name) {
  console.log(`\n== ${name}`);
  const succeeded = runVisibly('npm', ['run', '--silent', name]);
  total.add({ passed: succeeded ? 1 : 0, failed: succeeded ? [] : [name], skipped: [] });
}

async function runAll(args) {
  const chosen = tiers.filter((tier) => args.includes(tier.name));
  const patterns = args.filter((arg) => !tiers.some((tier) => tier.name === arg));
  prepare();
  // The lint reads the types of the built program, and tests of the command line and the receiver run it.
  runScript('build');
  if (args.length === 0) for (const check of checks) runScript(check);
  for (const tier of chosen.length > 0 ? chosen : tiers) {
    console.log(`\n== ${tier.name}`);
    total.add(await runTier(tier, patterns));
  }
}

try {
  await runAll(process.argv.slice(2));
} catch (error) {
  console.log(error.message);
  total.add({ passed: 0, failed: ['setup'], skipped: [] });
}
total.print();
