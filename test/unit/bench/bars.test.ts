import { expect, test } from '@jest/globals';
import { benchModule } from '../../support/bench-module.ts';

interface Run {
  case: string;
  wallSeconds: number;
  cpuSeconds: number;
  peakBytes: number;
}
interface Case {
  name: string;
  usedBytes: number;
  sizeBytes: number;
  layout: 'together' | 'usual';
}
type Summary = readonly { name: string; offLine: number | null; offSmallest: number | null }[];

const { growthSummary, growthTable } = await benchModule<{
  growthSummary: (cases: readonly Case[], runs: readonly Run[]) => Summary;
  growthTable: (summary: Summary) => string;
}>('growth/growth-summary.mjs');
const { partsSummary } = await benchModule<{
  partsSummary: (runs: readonly object[]) => {
    sumSeconds: number;
    ratio: number;
    ratioWithoutStart: number;
    isMet: boolean;
  };
}>('parts/parts-summary.mjs');
const { archiveSummary, archiveTable } = await benchModule<{
  archiveSummary: (
    runs: readonly object[],
    imageBytes: object,
  ) => {
    compared: { step: string; ratio: number; isMet: boolean }[];
    fallbackBytesPerSecond: number;
    isMemoryBounded: boolean;
  };
  archiveTable: (summary: object) => string;
}>('archives/archive-summary.mjs');

const cases: Case[] = [
  ...[1, 2, 4, 8].map((used) => ({
    name: `${used}`,
    usedBytes: used,
    sizeBytes: 10,
    layout: 'together' as const,
  })),
  { name: 'large', usedBytes: 1, sizeBytes: 10_000, layout: 'together' },
  { name: 'scattered', usedBytes: 1, sizeBytes: 10_000, layout: 'usual' },
];

/** Times that are a straight line over what is in use, but for those given. */
function runsOf(wallSeconds: Record<string, number> = {}, peakBytes = 200e6): Run[] {
  return cases.map(({ name, usedBytes }) => ({
    case: name,
    wallSeconds: wallSeconds[name] ?? 1 + usedBytes,
    cpuSeconds: 1,
    peakBytes,
  }));
}

function verdictsOf(runs: readonly Run[]): string[] {
  return [...growthTable(growthSummary(cases, runs)).matchAll(/: (met|missed)\./g)].map(
    ([, word = '']) => word,
  );
}

test('all bars are met by times on a straight line that do not depend on the size, and by little memory', () => {
  expect(verdictsOf(runsOf())).toEqual(['met', 'met', 'met']);
});

test('each bar can be missed alone', () => {
  expect(verdictsOf(runsOf({ 8: 20 }))).toEqual(['missed', 'met', 'met']);
  expect(verdictsOf(runsOf({ large: 2.3 }))).toEqual(['met', 'missed', 'met']);
  expect(verdictsOf(runsOf({}, 301e6))).toEqual(['met', 'met', 'missed']);
});

test('a disk with scattered tables has more to move, and counts for no bar', () => {
  expect(verdictsOf(runsOf({ scattered: 30 }))).toEqual(['met', 'met', 'met']);
});

test('a move is compared with the sum of its parts, with SHA-256 at both ends', () => {
  const partSeconds = { read: 1, hash: 1, compress: 1, unpack: 1, ssh: 1, write: 1, readBack: 1 };
  const summaryOf = (cpuSeconds: number) =>
    partsSummary([{ whole: { cpuSeconds }, ofNothing: { cpuSeconds: 1.6 }, partSeconds }]);
  expect(summaryOf(8).sumSeconds).toBe(8);
  expect(summaryOf(9.2)).toMatchObject({ ratio: 1.15, isMet: true });
  expect(summaryOf(9.3).isMet).toBe(false);
  expect(summaryOf(9.6)).toMatchObject({ ratioWithoutStart: 1, isMet: false });
});

test('archives are compared with a backup, with tar and with lbzip2, by their medians', () => {
  const seconds: Record<string, number[]> = {
    backup: [10, 100, 10],
    export: [11, 11, 11],
    tar: [9, 9, 9],
    tarOnDisk: [12],
    import: [3, 3, 30],
    disk: [2],
    lbzip2: [20],
    exportBzip2: [21],
    exportFewBzip2: [10],
    lunbzip2: [20],
    importBzip2: [20],
    fallback: [100],
  };
  const runsWith = (peakBytes: number) =>
    Object.entries(seconds).flatMap(([step, walls]) =>
      walls.map((wallSeconds) => ({ step, wallSeconds, cpuSeconds: 1, peakBytes })),
    );
  const summary = archiveSummary(runsWith(200e6), { small: 600e6 });
  expect(summary.compared.map(({ step, ratio, isMet }) => [step, ratio, isMet])).toEqual([
    ['export', 1.1, true],
    ['import', 3 / 9, true],
    ['exportBzip2', 1.05, false],
    ['importBzip2', 1, true],
  ]);
  expect(summary).toMatchObject({ fallbackBytesPerSecond: 6e6, isMemoryBounded: true });
  expect(archiveTable(summary)).toContain('exportBzip2 / lbzip2: 1.05 × wall');
  expect(archiveSummary(runsWith(300e6), { small: 600e6 }).isMemoryBounded).toBe(false);
});
