const hourMs = 3_600_000;

/**
 * The parts of the nightly run, each a tier (tiers.mjs) with some of its files. `variable` says how often they do what they do at random: `times`, unless
 * it is set already.
 */
export const nightlyParts = [
  {
    part: 'mutations',
    name: 'integration',
    files: [
      'image/image-ext-damaged',
      'image/image-fat',
      'image/image-lvm',
      'image/image-ntfs',
      'image/image-swap',
      'image/image-xfs',
    ],
    variable: 'VMFERRY_MUTATIONS',
    times: 100_000,
    workers: 2,
    testTimeoutMs: 2 * hourMs,
    tierTimeoutMs: 4 * hourMs,
  },
  {
    part: 'kills',
    name: 'fault',
    files: ['moves/killed-at-random'],
    variable: 'VMFERRY_KILLS',
    times: 200,
    workers: 1,
    testTimeoutMs: 180_000,
    tierTimeoutMs: 4 * hourMs,
  },
];
