import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { shellLine } from '../../../src/quote-for-shell.ts';
import { run, type CommandResult } from '../../../src/system/processes.ts';
import { introduceServer, type SshClientFiles } from '../../support/ssh/ssh-client-files.ts';
import type { QemuProcess } from '../base/qemu-process.ts';
import type { Dom0Build } from './dom0-build.ts';

export const DOM0_ALIAS = 'dom0';

/** Logins to dom0, over one connection. */
export interface Dom0Ssh extends AsyncDisposable {
  clientFiles: SshClientFiles;
  /** Options and host, for `ssh`, that use the connection. */
  arguments: readonly string[];
  run(command: readonly string[], signal?: AbortSignal): Promise<CommandResult>;
}

/** Waits until dom0 answers. The files of the client go to `directory`. */
export async function connectToDom0(
  directory: string,
  { identityFile, hostKeyFile }: Dom0Build,
  port: number,
  qemu: QemuProcess,
  cpuSeconds: number,
): Promise<Dom0Ssh> {
  await copyFile(identityFile, join(directory, 'id_ed25519'));
  const server = { alias: DOM0_ALIAS, address: '127.0.0.1', port };
  const clientFiles = await introduceServer(directory, server, [hostKeyFile]);
  const control = join(directory, 'ssh');
  const base = ['-F', clientFiles.sshConfigFile, '-o', `ControlPath=${control}`];
  let master: ChildProcess | null = null;
  const disconnect = async (): Promise<void> => {
    if (master === null || master.exitCode !== null || master.signalCode !== null) return;
    const exited = once(master, 'exit');
    master.kill();
    await exited;
  };
  const isConnected = async (): Promise<boolean> => {
    if (master === null || master.exitCode !== null) master = startMaster(base);
    return (await run('ssh', [...base, '-O', 'check', DOM0_ALIAS])).exitStatus === 0;
  };
  try {
    await qemu.waitFor('dom0 to answer by ssh', cpuSeconds, isConnected);
  } catch (error) {
    await disconnect();
    throw error;
  }
  const sshArguments = [...base, '-o', 'ControlMaster=no', DOM0_ALIAS];
  return {
    clientFiles,
    arguments: sshArguments,
    run: (command, signal) =>
      run('ssh', [...sshArguments, shellLine(command)], signal === undefined ? {} : { signal }),
    [Symbol.asyncDispose]: disconnect,
  };
}

/** It ends with this process, like QEMU. */
function startMaster(base: readonly string[]): ChildProcess {
  const args = ['--pdeathsig', 'KILL', 'ssh', ...base, '-o', 'ControlMaster=yes', '-N', DOM0_ALIAS];
  return spawn('setpriv', args, { stdio: 'ignore' });
}
