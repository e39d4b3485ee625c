/**
 * The lines between the two ends. `rateBits` is the rate in each direction, in bits per second, including link headers; null:
 * unlimited. `roundTripMs` is the shortest time for a byte and its answer.
 */
export const lines = [
  { name: 'loopback', title: 'loopback', rateBits: null, roundTripMs: 0 },
  { name: '1gbit', title: '1 Gbit/s', rateBits: 1e9, roundTripMs: 0 },
  { name: '100mbit', title: '100 Mbit/s', rateBits: 100e6, roundTripMs: 0 },
  { name: '100mbit-50ms', title: '100 Mbit/s, 50 ms round trip', rateBits: 100e6, roundTripMs: 50 },
];

/** The lines with these names, in that order; `all` means all of them. Throws for an unknown name. */
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
