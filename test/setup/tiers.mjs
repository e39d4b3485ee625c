const minuteMs = 60_000;

/**
 * The tiers of tests, quickest first; each is a directory of test/. A test that takes longer than `testTimeoutMs`
 * fails; a tier that takes longer than `tierTimeoutMs` is ended. The numbers of workers are for two processors; there are
 * more where tests wait for guests and silent lines. `longest`: test files that are started before all others, in this order.
 */
export const tiers = [
  { name: 'unit', workers: 2, testTimeoutMs: 20_000, tierTimeoutMs: 5 * minuteMs },
  { name: 'contract', workers: 2, testTimeoutMs: minuteMs, tierTimeoutMs: 10 * minuteMs },
  { name: 'golden', workers: 2, testTimeoutMs: minuteMs, tierTimeoutMs: 10 * minuteMs },
  { name: 'integration', workers: 3, testTimeoutMs: 2 * minuteMs, tierTimeoutMs: 20 * minuteMs },
  { name: 'fault', workers: 3, testTimeoutMs: 3 * minuteMs, tierTimeoutMs: 20 * minuteMs },
  { name: 'e2e', workers: 3, testTimeoutMs: 5 * minuteMs, tierTimeoutMs: 20 * minuteMs },
  // A test of them waits as long as it computes. Many more emulated machines at once would run into limits of time.
  {
    name: 'emulated',
    workers: 3,
    testTimeoutMs: 10 * minuteMs,
    tierTimeoutMs: 40 * minuteMs,
    // The first three begin at once. Two of them build rigs: the second the guests of Debian, the third Xen. The first needs both.
    longest: [
      'migrate-xen-debian',
      'migrate-debian',
      'migrate-xen',
      // Only two machines with Xen run at once.
      'migrate-qemu-libvirt',
      'migrate-qemu-xen',
      'xen-driver',
      'migrate-libvirt',
      'guest-driver-libvirt',
      'libvirt-driver',
    ],
  },
];
