import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { spawn, type ChildProcess } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { run } from '../../../src/system/processes.ts';
import { killTree } from '../programs/process-tree.ts';
import { umlProcessesOf } from '../guests/uml-processes.ts';
import { startNetworkLab, type LabHost, type NetworkLab } from './network-lab.ts';

const program = new URL('../../../bin/vmferry.js', import.meta.url).pathname;

/** The directories of one host: of its guests, its images and vmferry's records. */
export interface HostFiles {
  images: string;
  umlDir: string;
  stateDir: string;
  home: string;
  /** Further variables of the environment there, such as the libvirt of the host. */
  environment: Readonly<Record<string, string>>;
}

export interface CommandEnd {
  exitStatus: number | null;
  stdout: string;
  stderr: string;
}

/** A vmferry command that runs on the old host. */
export interface RunningCommand {
  child: ChildProcess;
  /** Sends a signal to it and all programs that it runs, as a terminal does. */
  signal(name: NodeJS.Signals): void;
  /** Resolves as soon as standard error or output contains the text; rejects if the command ends before. */
  printed(text: RegExp): Promise<void>;
  ended: Promise<CommandEnd>;
}

export interface StartOptions {
  /** A program and its arguments before the command line: `setpriv …`. */
  startedBy?: readonly string[];
}

/** A small file system of the new host; unmounted at the end of its scope. */
export interface SmallFileSystem extends AsyncDisposable {
  path: string;
  /** Fills all free space. */
  fill(): Promise<void>;
  /** All its files, including hidden ones, except the one that fills it. */
  files(): Promise<string[]>;
}

/** Two hosts with vmferry on both: `old`, where commands are typed, and `new`, which they reach by ssh. */
export interface TwoHosts extends AsyncDisposable {
  lab: NetworkLab;
  old: HostFiles;
  new: HostFiles;
  /** The arguments that every migrate needs here: --to, -F and --remote-command. */
  targetArguments(options?: { directory?: string; remoteCommand?: string }): string[];
  /** What starts vmferry on the new host. */
  remoteCommand: string;
  /** Writes a command line for the new host into a shell script, with the environment of a login there. */
  remoteScript(lines: readonly string[]): Promise<string>;
  /** Registers a function that is called first when the hosts are disposed. */
  defer(work: () => Promise<void>): void;
  /** Runs a program among the new host's own mounts, which its ssh sessions share. Returns its stdout. */
  runInNew(...command: string[]): Promise<string>;
  /** A file system in memory that only the new host sees. */
  mountOnNew(sizeBytes: number): Promise<SmallFileSystem>;
  /** All files in the images directory on the new host, including hidden ones. */
  filesOnNew(): Promise<string[]>;
  start(args: readonly string[], options?: StartOptions): RunningCommand;
  run(args: readonly string[], options?: StartOptions): Promise<CommandEnd>;
  /** The guests that vmferry knows on the old host. */
  guests(): Promise<{ name: string; state: string; pid: number | null }[]>;
  /** Runs vmferry on the new host, as a user logged in there would. */
  runOnNew(args: readonly string[]): Promise<CommandEnd>;
}

type Environments = Partial<Record<LabHost, HostFiles['environment']>>;

/** @param environments further variables of each host's environment, made when the hosts' networks are there */
export async function startTwoHosts(
  environments: (network: NetworkLab) => Promise<Environments> = () => Promise.resolve({}),
): Promise<TwoHosts> {
  const directory = await mkdtemp(join(tmpdir(), 'vmferry-hosts-'));
  const lab = await startNetworkLab();
  const further = await environments(lab);
  const files = {
    old: await makeHost(join(directory, 'old'), further.old),
    new: await makeHost(join(directory, 'new'), further.new),
  };
  // Replaces the environment of a login shell.
  let scripts = 0;
  const remoteScript = async (lines: readonly string[]): Promise<string> => {
    const path = join(directory, `on-new-${++scripts}`);
    await writeFile(path, `#!/bin/sh\n${shellExports(files.new)}${lines.join('\n')}\n`, { mode: 0o755 });
    return path;
  };
  const script = await remoteScript([`exec '${process.execPath}' '${program}' "$@"`]);
  const start = (args: readonly string[], { startedBy = [] }: StartOptions = {}): RunningCommand => {
    const vmferry = [process.execPath, program, ...args];
    const [command = '', ...rest] = [...lab.prefix('old'), ...startedBy, ...vmferry];
    const env = environmentOf(files.old);
    return watch(spawn(command, rest, { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] }));
  };
  const runInNew = async (...command: string[]): Promise<string> => {
    const argv = ['-m', '-t', String(lab.server.pid), '--', ...command];
    const { exitStatus, stdout, stderr } = await run('nsenter', argv);
    if (exitStatus !== 0) throw new Error(`${command.join(' ')}: ${stderr}`);
    return stdout;
  };
  const deferred: (() => Promise<void>)[] = [];
  return {
    lab,
    ...files,
    defer: (work) => {
      deferred.push(work);
    },
    remoteCommand: script,
    targetArguments: ({ directory: target = files.new.images, remoteCommand = script } = {}) => [
      '--to',
      `${lab.server.destination}:${target}`,
      '-F',
      lab.server.sshConfigFile,
      '--remote-command',
      remoteCommand,
    ],
    remoteScript,
    runInNew,
    mountOnNew: (sizeBytes) => mountTmpfs(join(directory, `small-${++scripts}`), sizeBytes, runInNew),
    filesOnNew: async () => (await readdir(files.new.images)).toSorted(),
    start,
    run: (args, options) => start(args, options).ended,
    guests: async () => {
      const { stdout } = await start(['guests', '--json']).ended;
      return (JSON.parse(stdout) as { guests: { name: string; state: string; pid: number | null }[] }).guests;
    },
    runOnNew: (args) => {
      const [command = '', ...rest] = [...lab.prefix('new'), script, ...args];
      return watch(spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'] })).ended;
    },
    async [Symbol.asyncDispose]() {
      for (const work of deferred) await work();
      for (const { umlDir } of Object.values(files))
        for (const pid of umlProcessesOf(null, umlDir)) await killTree(pid);
      await lab.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function mountTmpfs(
  path: string,
  sizeBytes: number,
  runThere: (...command: string[]) => Promise<string>,
): Promise<SmallFileSystem> {
  await mkdir(path);
  await runThere('mount', '-t', 'tmpfs', '-o', `size=${sizeBytes}`, 'none', path);
  const filling = '.filling';
  return {
    path,
    fill: async () => {
      await runThere('sh', '-c', `cat /dev/zero >'${path}/${filling}' 2>/dev/null || true`);
    },
    files: async () => {
      const names = (await runThere('ls', '-A', path)).split('\n');
      return names.filter((name) => name !== '' && name !== filling).toSorted();
    },
    async [Symbol.asyncDispose]() {
      await runThere('umount', '--lazy', path);
    },
  };
}

async function makeHost(directory: string, environment: HostFiles['environment'] = {}): Promise<HostFiles> {
  const files = {
    images: join(directory, 'images'),
    umlDir: join(directory, 'uml'),
    stateDir: join(directory, 'state'),
    home: join(directory, 'home'),
  };
  for (const path of Object.values(files)) await mkdir(path, { recursive: true });
  return { ...files, environment };
}

/** Each of the two has its own guests, though they run on one machine. */
function variablesOf({ umlDir, stateDir, home }: Pick<HostFiles, 'umlDir' | 'stateDir' | 'home'>) {
  return {
    UML_DIR: umlDir,
    VMFERRY_STATE_DIR: stateDir,
    HOME: home,
    VMFERRY_MACHINE: stateDir,
    XDG_RUNTIME_DIR: join(home, 'run'),
  };
}

function environmentOf({ umlDir, stateDir, home, environment }: HostFiles): NodeJS.ProcessEnv {
  return { ...process.env, ...variablesOf({ umlDir, stateDir, home }), ...environment };
}

function shellExports({ umlDir, stateDir, home, environment }: HostFiles): string {
  const variables = { ...variablesOf({ umlDir, stateDir, home }), ...environment };
  const words = Object.entries(variables).map(([name, value]) => `${name}='${value}'`);
  return `export ${words.join(' ')}\n`;
}

function watch(child: ChildProcess): RunningCommand {
  let stdout = '';
  let stderr = '';
  const watchers = new Set<() => void>();
  const add = (text: string, to: 'stdout' | 'stderr') => {
    if (to === 'stdout') stdout += text;
    else stderr += text;
    for (const watcher of watchers) watcher();
  };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => add(text, 'stdout'));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => add(text, 'stderr'));
  const ended = new Promise<CommandEnd>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exitStatus) => resolve({ exitStatus, stdout, stderr }));
  });
  const printed = (text: RegExp) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (!text.test(stderr) && !text.test(stdout)) return;
        watchers.delete(look);
        resolve();
      };
      watchers.add(look);
      look();
      void ended.then(() =>
        reject(new Error(`it ended before it printed ${text.source}: ${stderr}${stdout}`)),
      );
    });
  const signal = (name: NodeJS.Signals): void => {
    // It was started detached, so it leads its process group.
    if (child.pid !== undefined) process.kill(-child.pid, name);
  };
  return { child, signal, printed, ended };
}
