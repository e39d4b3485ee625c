import { cpus, release, totalmem } from 'node:os';
import process from 'node:process';
import { spawnSync } from 'node:child_process';
import { run } from './peers/programs.mjs';

/** Properties of the machine that the figures depend on. */
export function describeMachine(directory) {
  const processors = cpus();
  return {
    processor: processors[0].model,
    cores: processors.length,
    memoryBytes: totalmem(),
    kernel: release(),
    fileSystem: run('findmnt', ['-no', 'FSTYPE', '-T', directory]).trim(),
    node: process.version,
    openssh: spawnSync('ssh', ['-V'], { encoding: 'utf8' }).stderr.split(/[, ]/)[0],
    zstd: /v([\d.]+)/.exec(run('zstd', ['--version']))[1],
  };
}
