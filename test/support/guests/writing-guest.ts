import type { Context } from '../../../src/events.ts';
import type { GuestDriver, RunningGuest } from '../../../src/guest/guest-driver.ts';
import { run } from '../../../src/system/processes.ts';
import { guestKernel } from '../../rigs/kernel/guest-kernel.ts';
import { guestAgent, type GuestProgram } from './guest-programs.ts';
import { buildGuestImage, readGuestFile, type GuestImageOptions } from './uml-guest.ts';

/** A shorter wait for the disk is not told. In hundredths of a second. */
const TOLD_PAUSE = 10;

/**
 * Writes a number to one file, then to another, for ever. So the first is equal to the second, or one higher. When that takes long,
 * it says how long on the console: `PAUSE 37`, in hundredths of a second of the guest's own clock.
 */
const twoFileWriter: GuestProgram = {
  install: () => Promise.resolve(),
  startLines: [
    "busybox setsid sh -c 'n=0; last=; while :; do n=$((n + 1)); for f in first second; do " +
      // A file is replaced whole: at the instant of a view, one that is overwritten may be empty.
      'echo $n >/$f.new; sync; busybox mv /$f.new /$f; sync; done; ' +
      'read -r up idle </proc/uptime; now=${up%.*}${up#*.}; ' +
      `[ $((now - \${last:-now})) -lt ${TOLD_PAUSE} ] || echo PAUSE $((now - last)); last=$now; done' &`,
  ],
};

/** The longest pause in what the guest's program has written to the console; 0 if none was worth telling. */
export function longestPauseMs(console: string): number {
  const told = [...console.matchAll(/^PAUSE (\d+)\s*$/gm)].map(([, hundredths]) => Number(hundredths) * 10);
  return Math.max(0, ...told);
}

export interface WritingGuestFiles extends Pick<GuestImageOptions, 'sizeBytes' | 'dataBytes'> {
  image: string;
  consoleLog: string;
  timeoutMs: number;
}

/** Starts the guest `web` of QEMU, with an ext4 image of its own, QEMU's agent and `twoFileWriter`. */
export async function startWritingGuest(
  driver: GuestDriver,
  { image, consoleLog, timeoutMs, ...size }: WritingGuestFiles,
  context: Context,
): Promise<RunningGuest> {
  const { kernel, initrd } = await guestKernel();
  await buildGuestImage({ path: image, fileSystem: 'ext4', programs: [guestAgent, twoFileWriter], ...size });
  return driver.start(
    {
      name: 'web',
      driver: 'qemu',
      memoryBytes: 192 * 2 ** 20,
      cpuCount: 1,
      kernel,
      initrd,
      disks: [{ device: 'vda', path: image, readOnly: false, bus: 'virtio' }],
      commandLine: ['root=/dev/vda', 'rw', 'console=ttyS0'],
    },
    { consoleLog, timeoutMs },
    context,
  );
}

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
