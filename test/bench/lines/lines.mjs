/**
 * Between the two ends. `rateBits` is what the line carries each way, in bits a second, link headers included; null: as
 * much as the machine can. `roundTripMs`: how long a byte and its answer take at least.
 */
export const lines = [
  { name: 'loopback', title: 'loopback', rateBits: null, roundTripMs: 0 },
  { name: '1gbit', title: '1 Gbit/s', rateBits: 1e9, roundTripMs: 0 },
  { name: '100mbit', title: '100 Mbit/s', rateBits: 100e6, roundTripMs: 0 },
  { name: '100mbit-50ms', title: '100 Mbit/s, 50 ms round trip', rateBits: 100e6, roundTripMs: 50 },
];

/** The lines of these names, in that order; `all` stands for all of them. Throws for one that is not there. */
export function findLines(names) {
  if (names.includes('all')) return lines;
  return names.map((name) => {
    const found = lines.find((line) => line.name === name);
    if (found !== undefined) return found;
    throw new Error(
      `There is no line ${name}. There are: ${lines.map((line) => line.name).join(', ')}, all.`,
    );
  });
}
