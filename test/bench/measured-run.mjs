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

/** Empties the directories that the runs use, and makes the keys of the ssh between them, over an open line. */
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

/** Moves the image once, and measures that. */
export async function measuredRun({ name, command }, place) {
  makeReady(place);
  const { image, target, out } = place;
  const figures = await measuredCommand(name, command, { IMAGE: image, DIR: target, OUT: out }, place);
  return { ...figures, targetAllocatedBytes: statSync(out).blocks * 512 };
}

/**
 * Runs a command with these variables, and those of every peer. Both ends' CPU seconds are of all their processes; the
 * wire is what the line carried, both ways, headers included; `lineUse` is null where it has no rate. `elsewhereCpuSeconds` is
 * what the machine's cores did meanwhile for others: the kernel's own threads, and whatever else runs. Throws when the
 * command fails.
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

/** Every run begins alike: nothing there, nothing left to write, the image in the page cache. */
function makeReady({ image, target, scratch }) {
  for (const directory of [target, scratch]) makeEmpty(directory);
  run('sync', []);
  readData(image);
}

/** All but the holes: of a large sparse image they would take hours. */
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
      // what vmferry remembers of a guest that has moved is forgotten with the run
      VMFERRY_STATE_DIR: join(scratch, 'state'),
    },
  });
  closeSync(output);
  const [status] = await once(child, 'close');
  return status;
}

/** Seconds that the machine's cores were busy since it started, of all of them together. */
function busySeconds() {
  const milliseconds = cpus().reduce(
    (sum, { times }) => sum + times.user + times.nice + times.sys + times.irq,
    0,
  );
  return milliseconds / 1000;
}
