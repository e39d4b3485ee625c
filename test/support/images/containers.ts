import { accessSync, constants, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { descendantsOf, readInvocation } from '../../../src/system/proc-process.ts';
import { toolsMissing } from '../programs/tools.ts';
import { patchFile, runTool, seededBytes } from './images.ts';

const MIB = 2 ** 20;

/** Why images that are not raw cannot be read here; null when they can. */
export function viewsMissing(): string | null {
  try {
    accessSync('/dev/fuse', constants.R_OK | constants.W_OK);
  } catch {
    return 'this account may not use /dev/fuse';
  }
  return toolsMissing('qemu-storage-daemon', 'qemu-img', 'qemu-io');
}

/** A raw disk of 24 MiB with data at some places, the last sector among them. */
export function makeRawDisk(path: string, seed = 1): void {
  runTool('qemu-img', ['create', '-q', '-f', 'raw', path, `${24 * MIB}`]);
  patchFile(path, 0, seededBytes(seed, 100_000));
  patchFile(path, 5 * MIB + 512, seededBytes(seed + 1, 3 * MIB));
  patchFile(path, 24 * MIB - 512, seededBytes(seed + 2, 512));
}

export function convert(from: string, to: string, format: string, options: readonly string[] = []): void {
  const chosen = options.flatMap((option) => ['-o', option]);
  runTool('qemu-img', ['convert', '-f', 'raw', '-O', format, ...chosen, from, to]);
}

/** The mounts and directories of the views that a process has made. */
export function viewsOf(pid: number): string[] {
  const prefix = `vmferry-view-${pid}-`;
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n');
  return [
    ...mounts.filter((line) => line.includes(prefix)),
    ...readdirSync(tmpdir()).filter((name) => name.startsWith(prefix)),
  ];
}

/** The daemons that the process has started. */
export function daemonsOf(pid: number): number[] {
  return descendantsOf(pid)
    .map((process) => process.pid)
    .filter((one) => readInvocation(one)?.argv[0] === 'qemu-storage-daemon');
}
