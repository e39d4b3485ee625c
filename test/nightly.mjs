/**
 * `npm run test:nightly`: the random tests of `npm test`, many times as often (doc/testing.md). For hours, so not for every change.
 *
 *   npm run test:nightly                     all of it
 *   npm run test:nightly -- kills            one part of it
 *   VMFERRY_KILLS=20 npm run test:nightly    less of it
 *
 * It prints its seed first; VMFERRY_TEST_SEED repeats a run. The last line and the exit status are those of `npm test`.
 */
import process from 'node:process';
import { runTier } from './setup/jest-tier.mjs';
import { nightlyParts } from './setup/nightly-parts.mjs';
import { prepare, runVisibly } from './setup/prepare.mjs';
import { Total } from './setup/total.mjs';

const total = new Total();

async function runParts(names) {
  const unknown = names.find((name) => !nightlyParts.some((part) => part.part === name));
  if (unknown !== undefined)
    throw new Error(
      `There is no part ${unknown}; there are ${nightlyParts.map(({ part }) => part).join(', ')}.`,
    );
  prepare();
  if (!runVisibly('npm', ['run', '--silent', 'build'])) throw new Error('The build failed.');
  process.env.VMFERRY_TEST_SEED ??= String(Date.now() % 1_000_000);
  for (const part of nightlyParts) {
    if (names.length > 0 && !names.includes(part.part)) continue;
    process.env[part.variable] ??= String(part.times);
    const { VMFERRY_TEST_SEED: seed, [part.variable]: times } = process.env;
    console.log(`\n== ${part.part}: ${part.variable}=${times} VMFERRY_TEST_SEED=${seed}`);
    total.add(await runTier(part, part.files));
  }
}

try {
  await runParts(process.argv.slice(2));
} catch (error) {
  console.log(error.message);
  total.add({ passed: 0, failed: ['setup'], skipped: [] });
}
total.print();
