import { aligned, median, megabytes } from '../summary.mjs';

/** Bars: how far a time may be from the straight line through all of them, and a size's time from the smallest size's. */
const MOST_OFF = 0.1;
const MOST_MEMORY_BYTES = 300e6;

/**
 * Medians by case. `offLine` is the distance of the time from the straight line that best fits all cases of the smallest size,
 * as a share of it. `offSmallest` is the distance from the smallest image with the same amount in use. Scattered tables mean
 * more in use, so they count for neither bar.
 */
export function growthSummary(cases, runs) {
  const measured = cases.map(({ name, usedBytes, sizeBytes, layout }) => {
    const ofCase = runs.filter((run) => run.case === name);
    const medianOf = (measure) => median(ofCase.map((run) => run[measure]));
    return {
      name,
      usedBytes,
      sizeBytes,
      layout,
      rounds: ofCase.length,
      wallSeconds: medianOf('wallSeconds'),
      cpuSeconds: medianOf('cpuSeconds'),
      peakBytes: Math.max(...ofCase.map(({ peakBytes }) => peakBytes)),
    };
  });
  const smallestBytes = Math.min(...measured.map(({ sizeBytes }) => sizeBytes));
  const ofUse = measured.filter(({ sizeBytes }) => sizeBytes === smallestBytes);
  const line = straightLine(ofUse.map(({ usedBytes, wallSeconds }) => [usedBytes, wallSeconds]));
  return measured.map((each) => {
    const smallest = ofUse.find(({ usedBytes }) => usedBytes === each.usedBytes);
    return each.sizeBytes === smallestBytes
      ? { ...each, offLine: each.wallSeconds / line(each.usedBytes) - 1, offSmallest: null }
      : { ...each, offLine: null, offSmallest: each.wallSeconds / smallest.wallSeconds - 1 };
  });
}

/** Least squares. */
function straightLine(points) {
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const middleX = mean(points.map(([x]) => x));
  const middleY = mean(points.map(([, y]) => y));
  const slope =
    mean(points.map(([x, y]) => (x - middleX) * (y - middleY))) /
    mean(points.map(([x]) => (x - middleX) ** 2));
  return (x) => middleY + slope * (x - middleX);
}

export function growthTable(summary) {
  const head = [
    'in use, of size',
    'wall',
    'off the line',
    'off the smallest',
    'CPU, both ends',
    'peak memory',
  ];
  const rows = summary.map(({ name, rounds, wallSeconds, offLine, offSmallest, cpuSeconds, peakBytes }) => [
    `${name} (${rounds})`,
    `${wallSeconds.toFixed(2)} s`,
    signedPercent(offLine),
    signedPercent(offSmallest),
    `${cpuSeconds.toFixed(2)} s`,
    megabytes(peakBytes),
  ]);
  return `${aligned([head, ...rows])}\n\n${verdicts(summary).join('\n')}`;
}

function verdicts(summary) {
  const isWithin = (measure) =>
    summary.every((each) => each.layout === 'usual' || Math.abs(each[measure] ?? 0) <= MOST_OFF);
  const isSmall = summary.every(({ peakBytes }) => peakBytes < MOST_MEMORY_BYTES);
  return [
    `Linear in what is in use, within 10 %: ${word(isWithin('offLine'))}.`,
    `Independent of the image's size, within 10 %: ${word(isWithin('offSmallest'))}.`,
    `No process above 300 MB in any run: ${word(isSmall)}.`,
  ];
}

function word(isMet) {
  return isMet ? 'met' : 'missed';
}

function signedPercent(share) {
  return share === null ? '' : `${share < 0 ? '-' : '+'}${Math.abs(100 * share).toFixed(1)} %`;
}
