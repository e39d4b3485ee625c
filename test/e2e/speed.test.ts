import { readFileSync, writeFileSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { timeCommand, type TakenTime } from '../support/programs/bash-time.ts';
import { programFile } from '../support/programs/command-line.ts';
import { makeSparseFile, scratchDirectory } from '../support/images/images.ts';
import { descendantsOf } from '../support/programs/process-tree.ts';
import { startSshServer, type TestSshServer } from '../support/ssh/ssh-server.ts';
import { describeWithTools } from '../support/programs/tools.ts';

/*
 * A guard, not a benchmark (that is `npm run bench`): ratios of times measured side by side, medians of three, with room
 * for a busy machine. A pipeline that takes twice the CPU time of today fails.
 */
const ROUNDS = 3;
const IMAGE_BYTES = 256 * 2 ** 20;
/** Measured: 1.5 to 1.6. */
const MOST_OF_ZSTD = 2.3;
/** Measured: 1.2 to 1.4. */
const MOST_OF_PARTS = 2;
/** Measured: 1.8 to 2.4 with six other processes per core. This catches only long waits. */
const MOST_OF_PIPE = 5;

const captureProgram = join(import.meta.dirname, '../support/programs/capture-alone.mjs');
const CIPHER = 'aes128-gcm@openssh.com';

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}

/** Machine code, like much of a guest's disk: the bytes of Node, repeated, each time changed in another way. */
function writeImage(path: string): void {
  const code = readFileSync(process.execPath);
  const image = Buffer.alloc(IMAGE_BYTES);
  for (let offset = 0; offset < IMAGE_BYTES; offset += code.length) code.copy(image, offset);
  const words = new Uint32Array(image.buffer, image.byteOffset, IMAGE_BYTES / 4);
  for (let index = 0; index < words.length; index++) {
    const mask = 0x01010101 * Math.floor((4 * index) / code.length);
    words[index] = (words[index] ?? 0) ^ mask;
  }
  writeFileSync(path, image);
}

describeWithTools('the speed of the pipeline', ['zstd', 'ssh', 'sshd', 'openssl', 'bash', 'dd'], () => {
  const scratch = scratchDirectory();
  const file = (name: string): string => join(scratch.path, name);
  const image = file('image.img');
  const target = file('new');
  let server: TestSshServer;

  beforeAll(async () => {
    writeImage(image);
    makeSparseFile(file('empty.img'), IMAGE_BYTES);
    await mkdir(target);
    server = await startSshServer();
  });
  afterAll(async () => {
    await server.stop();
    scratch[Symbol.dispose]();
  });

  const environment = (): Record<string, string> => ({
    IMAGE: image,
    EMPTY: file('empty.img'),
    TARGET: target,
    COPY: file('copy'),
    SSH: `ssh -F ${server.sshConfigFile} -c ${CIPHER} ${server.destination}`,
    VMFERRY: `${process.execPath} ${programFile}`,
    VMFERRY_STATE_DIR: file('state'),
    CAPTURE: `${process.execPath} ${captureProgram}`,
    SSH_CONFIG: server.sshConfigFile,
    NEW: server.destination,
  });

  /** CPU time of a command and of its sshd sessions. */
  async function takenAtBothEnds(command: string): Promise<TakenTime> {
    const before = await cpuSecondsOfEnded(server.pid);
    const taken = await timeCommand(command, environment());
    const after = await cpuSecondsOfEnded(server.pid);
    return { ...taken, cpuSeconds: taken.cpuSeconds + after - before };
  }

  async function emptyTarget(): Promise<void> {
    await rm(target, { recursive: true });
    await mkdir(target);
  }

  test('a capture takes little more CPU time than zstd alone', async () => {
    const ratios: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const zstd = await timeCommand('zstd -1 -T2 -q -c $IMAGE >/dev/null', environment());
      await timeCommand('$CAPTURE $IMAGE 1 >$COPY', environment());
      const { cpuSeconds } = JSON.parse(readFileSync(file('copy'), 'utf8')) as { cpuSeconds: number };
      ratios.push(cpuSeconds / zstd.cpuSeconds);
    }
    expectBelow(MOST_OF_ZSTD, ratios);
  });

  test('a move takes little more CPU time than its parts', async () => {
    const pipe = 'zstd -1 -T2 -q -c $IMAGE | $SSH "zstd -d -q -o $TARGET/image"';
    const besides = [
      // both ends hash every chunk
      'openssl dgst -sha256 $IMAGE $IMAGE',
      'dd if=$IMAGE of=$COPY bs=1M conv=fsync status=none',
      'dd if=$COPY of=/dev/null bs=1M status=none',
    ].join(' && ');
    const cpuRatios: number[] = [];
    const wallRatios: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const piped = await takenAtBothEnds(pipe);
      const rest = await takenAtBothEnds(besides);
      const whole = await takenAtBothEnds(moveOf('$IMAGE'));
      // the part that does not depend on the size: two programs start and log in
      const nothing = await takenAtBothEnds(moveOf('$EMPTY'));
      await emptyTarget();
      cpuRatios.push((whole.cpuSeconds - nothing.cpuSeconds) / (piped.cpuSeconds + rest.cpuSeconds));
      wallRatios.push((whole.wallSeconds - nothing.wallSeconds) / piped.wallSeconds);
    }
    expectBelow(MOST_OF_PARTS, cpuRatios);
    expectBelow(MOST_OF_PIPE, wallRatios);
  });
});

/** Shows all values if their median is too high. */
function expectBelow(most: number, ratios: readonly number[]): void {
  expect({ ratios, isBelow: median(ratios) < most }).toEqual({ ratios, isBelow: true });
}

function moveOf(image: string): string {
  const there = '--to $NEW:$TARGET --ssh-config $SSH_CONFIG --remote-command "$VMFERRY"';
  return `$VMFERRY migrate ${image} ${there} --compression 1 --json`;
}

/** Waits until all descendants of a process have ended; returns their CPU seconds (proc(5), `stat`). */
async function cpuSecondsOfEnded(pid: number): Promise<number> {
  while ((await descendantsOf(pid)).length > 0) await delay(20);
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticksPerSecond = 100;
  return (Number(fields[13]) + Number(fields[14])) / ticksPerSecond;
}
