/** Handshakes and goodbyes carry next to nothing; the first and the last bytes of the transfer lie within this share. */
const EDGE = 0.005;

/**
 * How much of what the line could carry it did carry, from the first to the last data byte, in the direction that most
 * bytes went: 1 is all of it. What is called data begins when half a percent of the bytes have gone over, and ends when
 * half a percent are missing.
 *
 * @param samples `{ atMs, sent, received }`: counters, ascending
 * @param wireBytes `{ sent, received }`: what went over the line from the first to the last sample, all headers included,
 *   which those counters may leave out
 * @returns null where nothing went over it
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

/** Between two samples the bytes are taken to have come evenly. */
function whenReached(samples, direction, count) {
  const index = samples.findIndex((sample) => sample[direction] >= count);
  const [before, after] = [samples[Math.max(0, index - 1)], samples[index]];
  const grown = after[direction] - before[direction];
  const share = grown === 0 ? 1 : (count - before[direction]) / grown;
  return before.atMs + share * (after.atMs - before.atMs);
}
