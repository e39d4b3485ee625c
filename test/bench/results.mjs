import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { projectDirectory } from '../setup/prepare.mjs';
import { describeMachine } from './machine.mjs';
import { cacheDirectory } from './places.mjs';
import { percent } from './summary.mjs';

/** If other processes took more than this share of the cores' time, do not trust the run's figures. */
const BUSY_ELSEWHERE = 0.15;

/** Rotates the peers, so that none always runs after the same other one. */
export function rotated(list, by) {
  const start = by % list.length;
  return [...list.slice(start), ...list.slice(0, start)];
}

/** The cost of one run, as a line. */
export function runLine({ peer, round, step, ...figures }) {
  const { wallSeconds, cpuSeconds, wireBytes, lineUse, peakBytes, elsewhereCpuSeconds } = figures;
  const busy = elsewhereCpuSeconds > BUSY_ELSEWHERE * wallSeconds * cpus().length;
  return [
    `round ${round}  ${peer.padEnd(17)} ${step === undefined ? '' : `${step.padEnd(8)} `}${wallSeconds.toFixed(2).padStart(8)} s`,
    `${cpuSeconds.toFixed(1).padStart(7)} s CPU`,
    `${(wireBytes / 1e6).toFixed(1).padStart(7)} MB sent`,
    ...(lineUse === null ? [] : [`${percent(lineUse).padStart(5)} of the line`]),
    `${(peakBytes / 1e6).toFixed(0).padStart(5)} MB memory`,
    busy ? `  busy elsewhere: ${elsewhereCpuSeconds.toFixed(1)} s CPU` : '',
  ].join(' ');
}

/**
 * Writes all figures to a file, and the tables to the terminal.
 * @param figures the line's name, the recipe of the image, and other figures to keep
 */
export function finish({ line, ...figures }, tables) {
  const machine = describeMachine(cacheDirectory);
  const results = join(projectDirectory, 'bench-results');
  const file = join(results, `${new Date().toISOString().replaceAll(':', '-')}-${line}.json`);
  mkdirSync(results, { recursive: true });
  writeFileSync(file, `${JSON.stringify({ machine, line, ...figures }, null, 2)}\n`);
  console.log(`\n${tables}\n`);
  console.log(
    Object.entries(machine)
      .map(([name, value]) => `${name}: ${value}`)
      .join(' · '),
  );
  console.log(`All figures: ${file}`);
}
