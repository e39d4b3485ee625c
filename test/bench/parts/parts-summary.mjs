import { aligned, median } from '../summary.mjs';

/** Bar: vmferry's CPU seconds compared with those of its parts. */
const MOST_OF_PARTS = 1.15;

const titles = {
  read: 'reading what is in use, from the page cache',
  hash: 'SHA-256 of each chunk, here and there',
  compress: 'compressing',
  unpack: 'unpacking',
  ssh: 'ssh, for as many bytes',
  write: 'writing past the page cache',
  readBack: 'reading back past the page cache',
};
/** Both ends hash each chunk. */
const timesDone = { hash: 2 };

/** @param runs `{ whole: { cpuSeconds }, ofNothing: { cpuSeconds }, partSeconds }` by rounds */
export function partsSummary(runs) {
  const parts = Object.keys(titles).map((name) => ({
    name,
    cpuSeconds: (timesDone[name] ?? 1) * median(runs.map(({ partSeconds }) => partSeconds[name])),
  }));
  const sumSeconds = parts.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0);
  const wholeSeconds = median(runs.map(({ whole }) => whole.cpuSeconds));
  const startSeconds = median(runs.map(({ ofNothing }) => ofNothing.cpuSeconds));
  const ratio = wholeSeconds / sumSeconds;
  return {
    rounds: runs.length,
    parts,
    sumSeconds,
    wholeSeconds,
    startSeconds,
    ratio,
    ratioWithoutStart: (wholeSeconds - startSeconds) / sumSeconds,
    isMet: ratio <= MOST_OF_PARTS,
  };
}

export function partsTable(summary, level) {
  const { rounds, parts, sumSeconds, wholeSeconds, startSeconds, ratio, ratioWithoutStart, isMet } = summary;
  const rows = [
    ...parts.map(({ name, cpuSeconds }) => [titles[name], cpuSeconds, null]),
    ['all parts', sumSeconds, 1],
    [`vmferry migrate --compression ${level}`, wholeSeconds, ratio],
    ['the same of an image with nothing in it: starts, logins, looks', startSeconds, null],
    ['what the bytes themselves take', wholeSeconds - startSeconds, ratioWithoutStart],
  ].map(([title, seconds, times]) => [
    title,
    `${seconds.toFixed(2)} s`,
    times === null ? '' : `${times.toFixed(2)} ×`,
  ]);
  const verdict = `The bar is ${MOST_OF_PARTS} ×: ${isMet ? 'met' : 'missed'}.`;
  return `${aligned([['', 'CPU, both ends', ''], ...rows])}\n\nMedians of ${rounds}, zstd at level ${level}. ${verdict}`;
}
