import { aligned, median, megabytes, seconds, times } from '../summary.mjs';
import { archiveSteps, bzip2Steps, fallbackStep } from './archive-steps.mjs';

const MOST_MEMORY_BYTES = 300e6;

/** The bars: of which step, compared with which other one, at most how many times its wall time. */
const bars = [
  { step: 'export', other: 'backup', most: 1.15 },
  { step: 'import', other: 'tar', most: 1 / 3 },
  { step: 'exportBzip2', other: 'lbzip2', most: 1 },
  { step: 'importBzip2', other: 'lunbzip2', most: 1 },
];

/**
 * @param runs `{ step, wallSeconds, cpuSeconds, peakBytes }`
 * @param imageBytes the sizes of the two images
 */
export function archiveSummary(runs, imageBytes) {
  const steps = [...archiveSteps, ...bzip2Steps, fallbackStep].map(({ name, title }) => {
    const own = runs.filter(({ step }) => step === name);
    return {
      name,
      title,
      rounds: own.length,
      wallSeconds: median(own.map(({ wallSeconds }) => wallSeconds)),
      cpuSeconds: median(own.map(({ cpuSeconds }) => cpuSeconds)),
      peakBytes: Math.max(...own.map(({ peakBytes }) => peakBytes)),
    };
  });
  const of = (wanted) => steps.find(({ name }) => name === wanted);
  const compared = bars.map(({ step, other, most }) => {
    const ratio = of(step).wallSeconds / of(other).wallSeconds;
    return {
      step,
      other,
      most,
      ratio,
      cpuRatio: of(step).cpuSeconds / of(other).cpuSeconds,
      isMet: ratio <= most,
    };
  });
  return {
    steps,
    compared,
    fallbackBytesPerSecond: imageBytes.small / of(fallbackStep.name).wallSeconds,
    isMemoryBounded: steps.every(
      ({ title, peakBytes }) => !title.startsWith('vmferry') || peakBytes < MOST_MEMORY_BYTES,
    ),
  };
}

export function archiveTable({ steps, compared, fallbackBytesPerSecond, isMemoryBounded }) {
  const rows = steps.map(({ title, rounds, wallSeconds, cpuSeconds, peakBytes }) => [
    `${title} (${rounds})`,
    seconds(wallSeconds),
    seconds(cpuSeconds),
    megabytes(peakBytes),
  ]);
  const verdicts = compared.map(
    ({ step, other, most, ratio, cpuRatio, isMet }) =>
      `${step} / ${other}: ${times(ratio)} wall, ${times(cpuRatio)} CPU; the bar is ${times(most)} wall: ${isMet ? 'met' : 'missed'}.`,
  );
  return [
    aligned([['', 'wall', 'CPU', 'peak memory'], ...rows]),
    ...verdicts,
    `Without any bzip2: ${(fallbackBytesPerSecond / 1e6).toFixed(1)} MB/s of the image.`,
    `Memory of vmferry under 300 MB: ${isMemoryBounded ? 'yes' : 'no'}.`,
  ].join('\n');
}
