import { run } from '../../../src/system/processes.ts';
import type { GuestProgram } from './guest-programs.ts';
import { readGuestFile } from './uml-guest.ts';

/** Writes a number to one file, then to another, for ever. So the first is equal to the second, or one higher. */
export const twoFileWriter: GuestProgram = {
  install: () => Promise.resolve(),
  startLines: [
    "busybox setsid sh -c 'n=0; while :; do n=$((n + 1)); echo $n >/first; sync; echo $n >/second; sync; done' &",
  ],
};

export interface WrittenNumbers {
  first: number;
  second: number;
}

/**
 * The numbers of `twoFileWriter` in a raw image with an ext file system. Replays its journal first. Throws an Error if `e2fsck` finds
 * any damage, or if the two files were not written at one time.
 */
export async function numbersOfOneTime(image: string): Promise<WrittenNumbers> {
  // Replays the journal, and counts anew what a mounted file system counts only now and then.
  const replayed = await run('e2fsck', ['-fp', image]);
  if (replayed.exitStatus === null || replayed.exitStatus > 1 || replayed.stdout.includes('UNEXPECTED'))
    throw new Error(`e2fsck found damage: ${replayed.stdout}${replayed.stderr}`);
  const checked = await run('e2fsck', ['-fn', image]);
  if (checked.exitStatus !== 0) throw new Error(`e2fsck found damage: ${checked.stdout}`);
  const numberIn = async (file: string) => Number((await readGuestFile(image, file)).toString());
  const numbers = { first: await numberIn('/first'), second: await numberIn('/second') };
  if (numbers.first !== numbers.second && numbers.first !== numbers.second + 1)
    throw new Error(`a mix of two times: ${JSON.stringify(numbers)}`);
  return numbers;
}
