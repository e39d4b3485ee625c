import process from 'node:process';
import { seededBytes } from './images/images.ts';

/** Numbers from 0 to 1 (1 excluded), the same ones for the same seed. */
export function seededRandom(seed: number): () => number {
  // small seeds give small first numbers: mixed once beforehand
  let state = Buffer.from(seededBytes(Math.imul(seed + 1, 0x9e3779b1), 8)).readUInt32LE(4) || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state = (state ^ (state << 5)) >>> 0;
    return state / 2 ** 32;
  };
}

/** What a test that is random takes: VMFERRY_TEST_SEED, to repeat a failure, or the time. Print it. */
export function testSeed(): number {
  return Number(process.env['VMFERRY_TEST_SEED'] ?? Date.now() % 1_000_000);
}
