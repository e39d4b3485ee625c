/** Handshakes and goodbyes carry almost nothing: less than this share of the bytes at each end. */
const EDGE = 0.005;

/**
 * The used share of the line's capacity between the first and the last data byte, in the direction of most bytes: 1 is all of
 * it. Data begins after half a percent of the bytes, and ends half a percent before the last.
 *
 * @param samples `{ atMs, sent, received }`: counters, ascending
 * @param wireBytes `{ sent, received }`: bytes on the line from the first to the last sample, including all headers, which the
 *   counters may leave out
 * @returns null if nothing was sent
 */
export function lineUse(samples, wireBytes, rateBits) {
  const direction = wireBytes.sent >= wireBytes.received ? 'sent' : 'received';
  const first = samples[0][direction];
  const total = samples.at(-1)[direction] - first;
  if (total === 0) return null;
  const timeOf = (share) => whenReached(samples, direction, first + share * total);
  const seconds = (timeOf(1 - EDGE) - timeOf(EDGE)) / 1000;
  return ((1 - 2 * EDGE) * wireBytes[direction] * 8) / (rateBits * seconds);
}

/** Interpolates: between two samples the rate counts as constant. */
function whenReached(samples, direction, count) {
  const index = samples.findIndex((sample) => sample[direction] >= count);
  const [before, after] = [samples[Math.max(0, index - 1)], samples[index]];
  const grown = after[direction] - before[direction];
  const share = grown === 0 ? 1 : (count - before[direction]) / grown;
  return before.atMs + share * (after.atMs - before.atMs);
}
