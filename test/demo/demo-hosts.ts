import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import process from 'node:process';
import { endSession } from '../../src/guest/drivers/uml/session.ts';
import { listUmids, readPidFile, umlHost } from '../../src/guest/drivers/uml/host.ts';
import { readProcess } from '../../src/system/proc-process.ts';
import { programFile } from '../support/programs/command-line.ts';
import { startSshServer } from '../support/ssh/ssh-server.ts';

export const newHost = 'newhost';

/** The directory for disks of one host, and the environment of its programs. */
export interface DemoHost {
  guests: string;
  environment: NodeJS.ProcessEnv;
}

/** This machine as two hosts: commands run on the old one, and reach the new one by ssh. */
export interface DemoHosts extends AsyncDisposable {
  directory: string;
  old: DemoHost;
  new: DemoHost;
}

/**
 * Makes both hosts, separate from this account's guests, keys and settings. `vmferry` is on the PATH of each, and
 * `ssh -F ssh_config newhost` works in `directory`. Disposing removes everything.
 */
export async function makeDemoHosts(): Promise<DemoHosts> {
  const directory = await mkdtemp(join(tmpdir(), 'vmferry-demo-'));
  try {
    const bin = await installVmferry(directory);
    const old = await makeHost(join(directory, 'old'), bin);
    const young = await makeHost(join(directory, 'new'), bin);
    const server = await startSshServer({
      alias: newHost,
      // Ctrl-C must reach only vmferry, which needs the other host to undo the move.
      startedBy: ['setsid'],
      sshdConfig: [`SetEnv ${sshEnvironment(young)}`],
    });
    await copyFile(server.sshConfigFile, join(directory, 'ssh_config'));
    return {
      directory,
      old,
      new: young,
      async [Symbol.asyncDispose]() {
        for (const host of [old, young]) await endGuests(host);
        await server.stop();
        await rm(directory, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

async function installVmferry(directory: string): Promise<string> {
  const bin = join(directory, 'bin');
  await mkdir(bin);
  const script = `#!/bin/sh\nexec '${process.execPath}' '${programFile}' "$@"\n`;
  await writeFile(join(bin, 'vmferry'), script, { mode: 0o755 });
  return bin;
}

async function makeHost(directory: string, bin: string): Promise<DemoHost> {
  const guests = join(directory, 'guests');
  const own = {
    HOME: directory,
    UML_DIR: join(directory, 'uml'),
    VMFERRY_STATE_DIR: join(directory, 'state'),
  };
  for (const path of [guests, own.UML_DIR, own.VMFERRY_STATE_DIR]) await mkdir(path, { recursive: true });
  const PATH = [bin, process.env['PATH']].join(delimiter);
  return { guests, environment: { ...process.env, NODE_OPTIONS: '', PATH, ...own } };
}

/** For sshd_config(5): its sessions inherit nothing of this process's environment. */
function sshEnvironment({ environment }: DemoHost): string {
  return ['PATH', 'HOME', 'UML_DIR', 'VMFERRY_STATE_DIR']
    .map((name) => `"${name}=${environment[name]}"`)
    .join(' ');
}

/** Ends guests that still run: after an interruption a guest may be on either side. */
async function endGuests({ environment }: DemoHost): Promise<void> {
  const host = umlHost(environment);
  for (const umid of listUmids(host)) {
    const pid = readPidFile(host, umid);
    const sessionId = pid === null ? undefined : readProcess(pid)?.sessionId;
    if (sessionId !== undefined) await endSession(sessionId, host);
  }
}
