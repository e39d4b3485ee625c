import { readFileSync } from 'node:fs';

/** The command line that runs a program under GNU time, which writes to `timesFile` when the program ends. */
export function timed(timesFile, command) {
  return ['/usr/bin/time', '--quiet', '--output', timesFile, '--format', '%e %U %S %M', ...command];
}

/**
 * The output of GNU time. CPU seconds are of the program and of all its descendants that were waited for;
 * `systemSeconds` is the kernel's part. The peak is the resident set of the largest process.
 */
export function readTimes(timesFile) {
  const [wallSeconds, userSeconds, systemSeconds, peakKib] = readFileSync(timesFile, 'utf8')
    .trim()
    .split(' ')
    .map(Number);
  return { wallSeconds, cpuSeconds: userSeconds + systemSeconds, systemSeconds, peakBytes: peakKib * 1024 };
}
