import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, readSync, rmSync, statSync } from 'node:fs';
import { cpus } from 'node:os';
import { basename, join } from 'node:path';
import process from 'node:process';
import { readTimes, timed } from './gnu-time.mjs';
import { vmferryProgram } from './places.mjs';
import { serverName, startSshd, writeSshFiles } from './lines/private-sshd.mjs';
import { run } from './peers/programs.mjs';
import { seekData } from '../../dist/system/native.js';

const READ_BYTES = 4 * 2 ** 20;
const CIPHER = 'aes128-gcm@openssh.com';

/** Empties the directories of the runs, and makes the ssh keys between the two ends. */
export function openWorkplace(directory, image, line) {
  rmSync(directory, { recursive: true, force: true });
  const place = {
    image,
    line,
    target: join(directory, 'new'),
    out: join(directory, 'new', basename(image)),
    scratch: join(directory, 'old'),
    ssh: join(directory, 'ssh'),
    log: join(directory, 'output.log'),
  };
  return { ...place, ...writeSshFiles(place.ssh, line) };
}

/** Moves the image once and measures it. */
export async function measuredRun({ name, command }, place) {
  makeReady(place);
  const { image, target, out } = place;
  const figures = await measuredCommand(name, command, { IMAGE: image, DIR: target, OUT: out }, place);
  return { ...figures, targetAllocatedBytes: statSync(out).blocks * 512 };
}

/**
 * Runs a command with these variables and those of every peer. CPU seconds are of all processes of both ends. The wire is all
 * bytes on the line, in both directions, including headers. `lineUse` is null for a line without a rate.
 * `elsewhereCpuSeconds` is the time of other processes and the kernel's threads. Throws if the command fails.
 */
export async function measuredCommand(name, command, variables, place) {
  const sshd = await startSshd(place.ssh, place.line);
  const watched = place.line.watch();
  const busyBefore = busySeconds();
  const status = await runCommand(command, variables, place);
  const busyAfter = busySeconds();
  const { wireBytes, lineUse, lineCpuSeconds } = watched.end();
  const target = await sshd.stop();
  if (status !== 0)
    throw new Error(`${name} ended with ${status}:\n${readFileSync(place.log, 'utf8').slice(-4000)}`);
  const source = readTimes(join(place.scratch, 'times'));
  const cpuSeconds = source.cpuSeconds + target.cpuSeconds;
  return {
    wallSeconds: source.wallSeconds,
    cpuSeconds,
    sourceCpuSeconds: source.cpuSeconds,
    targetCpuSeconds: target.cpuSeconds,
    sourceSystemSeconds: source.systemSeconds,
    targetSystemSeconds: target.systemSeconds,
    elsewhereCpuSeconds: Math.max(0, busyAfter - busyBefore - cpuSeconds - lineCpuSeconds),
    wireBytes,
    lineUse,
    peakBytes: Math.max(source.peakBytes, target.peakBytes),
  };
}

/** Every run begins in the same state: empty target, nothing left to write, the image in the page cache. */
function makeReady({ image, target, scratch }) {
  for (const directory of [target, scratch]) makeEmpty(directory);
  run('sync', []);
  readData(image);
}

/** Skips holes: reading those of a large sparse image would take hours. */
function readData(image) {
  const fd = openSync(image, 'r');
  const { size } = statSync(image);
  const buffer = Buffer.alloc(READ_BYTES);
  let position = seekData(fd, 0);
  while (position !== null && position < size) {
    const length = readSync(fd, buffer, 0, READ_BYTES, position);
    position = seekData(fd, position + length);
  }
  closeSync(fd);
}

export function makeEmpty(directory) {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
}

async function runCommand(command, variables, { scratch, clientConfig, log }) {
  const sshOptions = `-F ${clientConfig} -c ${CIPHER}`;
  const output = openSync(log, 'w');
  const [program, ...args] = timed(join(scratch, 'times'), ['bash', '-eo', 'pipefail', '-c', command]);
  const child = spawn(program, args, {
    stdio: ['ignore', output, output],
    env: {
      ...process.env,
      ...variables,
      SCRATCH: scratch,
      NEW: serverName,
      SSH: `ssh ${sshOptions} ${serverName}`,
      SSH_OPTIONS: sshOptions,
      SSH_CONFIG: clientConfig,
      VMFERRY: `${process.execPath} ${vmferryProgram}`,
      // removes vmferry's record of the moved guest
      VMFERRY_STATE_DIR: join(scratch, 'state'),
    },
  });
  closeSync(output);
  const [status] = await once(child, 'close');
  return status;
}

/** Busy seconds of all cores together since the machine started. */
function busySeconds() {
  const milliseconds = cpus().reduce(
    (sum, { times }) => sum + times.user + times.nice + times.sys + times.irq,
    0,
  );
  return milliseconds / 1000;
}
