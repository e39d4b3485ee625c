import { randomBytes } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import process from 'node:process';
import { poll } from '../../../src/pipeline/polling.ts';
import { run, type CommandResult, type RunOptions } from '../../../src/system/processes.ts';
import { startSshServer, type TestSshServer } from './ssh-server.ts';
import { findTool } from '../programs/tools.ts';

export type LabHost = 'old' | 'new';

/**
 * Two hosts on this machine, `old` and `new`: two network namespaces, joined by one cable, with a real sshd on `new`. They share
 * the machine's files and processes, but not its network.
 */
export interface NetworkLab extends AsyncDisposable {
  /** sshd on `new`; reached from `old` with its `sshConfigFile` and `destination`. */
  server: TestSshServer;
  addresses: Readonly<Record<LabHost, string>>;
  /** The words before a command line that make it run on the host. */
  prefix(host: LabHost): readonly string[];
  /** Runs a program on the host to its end. */
  runOn(host: LabHost, argv: readonly string[], options?: RunOptions): Promise<CommandResult>;
  /** From now on packets are lost, and no end of a connection is notified. */
  cut(): Promise<void>;
  /** Returns when the cable works again, and a connection can be made. */
  mend(): Promise<void>;
  /** Breaks all TCP connections between the two: both ends get a reset. */
  reset(): Promise<void>;
  /** Limits both directions (`100mbit`, as tc(8) writes it); null: no limit. */
  rate(limit: string | null): Promise<void>;
  stop(): Promise<void>;
}

const INTERFACE = 'wan0';
const addresses = { old: '10.231.7.1', new: '10.231.7.2' } as const;

/** Why a lab cannot be built here; null if it can. */
export function networkLabMissing(): string | null {
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  for (const tool of ['ip', 'tc', 'ss', 'sshd', 'bash'])
    if (findTool(tool) === null) return `not installed: ${tool}`;
  const name = `vf-try-${randomBytes(4).toString('hex')}`;
  const made = spawnSync('ip', ['netns', 'add', name]);
  if (made.status !== 0) return `no network namespaces: ${String(made.stderr).trim()}`;
  spawnSync('ip', ['netns', 'del', name]);
  return null;
}

/** Builds a lab. Several may run at once. */
export async function startNetworkLab(): Promise<NetworkLab> {
  const id = randomBytes(4).toString('hex');
  const namespaces: Record<LabHost, string> = { old: `vf-${id}-old`, new: `vf-${id}-new` };
  const prefix = (host: LabHost): string[] => ['ip', 'netns', 'exec', namespaces[host]];
  const ip = (host: LabHost, ...args: string[]): Promise<void> => must('ip', '-n', namespaces[host], ...args);
  const removeNamespaces = async (): Promise<void> => {
    for (const namespace of Object.values(namespaces)) await run('ip', ['netns', 'del', namespace]);
  };
  const runOn = (host: LabHost, argv: readonly string[], options?: RunOptions): Promise<CommandResult> => {
    const [program = '', ...args] = [...prefix(host), ...argv];
    return run(program, args, options);
  };
  try {
    for (const namespace of Object.values(namespaces)) await must('ip', 'netns', 'add', namespace);
    await ip(
      'old',
      'link',
      'add',
      INTERFACE,
      'type',
      'veth',
      'peer',
      'name',
      INTERFACE,
      'netns',
      namespaces.new,
    );
    for (const host of ['old', 'new'] as const) {
      await ip(host, 'addr', 'add', `${addresses[host]}/24`, 'dev', INTERFACE);
      await ip(host, 'link', 'set', 'lo', 'up');
      await ip(host, 'link', 'set', INTERFACE, 'up');
    }
    const server = await startSshServer({
      alias: 'new',
      address: addresses.new,
      port: 22,
      startedBy: prefix('new'),
    });
    const stop = async (): Promise<void> => {
      await server.stop();
      await removeNamespaces();
    };
    return {
      server,
      addresses,
      prefix,
      runOn,
      // The far end goes down: on this side only the answers stop.
      cut: () => ip('new', 'link', 'set', INTERFACE, 'down'),
      mend: async () => {
        await ip('new', 'link', 'set', INTERFACE, 'up');
        await awaitWay(() => runOn('old', ['bash', '-c', `exec 3<>/dev/tcp/${addresses.new}/22`]));
      },
      reset: async () => {
        await runOn('old', ['ss', '-K', '-t', 'dst', addresses.new]);
        await runOn('new', ['ss', '-K', '-t', 'dst', addresses.old]);
      },
      rate: async (limit) => {
        for (const host of ['old', 'new'] as const) {
          const device = ['dev', INTERFACE, 'root'];
          const qdisc = ['-n', namespaces[host], 'qdisc'];
          const bucket = ['tbf', 'rate', limit ?? '', 'burst', '64kb', 'latency', '200ms'];
          if (limit === null) await run('tc', [...qdisc, 'del', ...device]);
          else await must('tc', ...qdisc, 'replace', ...device, ...bucket);
        }
      },
      stop,
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await removeNamespaces();
    throw error;
  }
}

/**
 * After the link is up, some packets are still answered with "no route to host", because the neighbour was given up while the
 * link was down.
 */
async function awaitWay(connect: () => Promise<CommandResult>): Promise<void> {
  const limits = { timeoutMs: 30_000, intervalMs: 50, signal: new AbortController().signal };
  const found = await poll(async () => (await connect()).exitStatus === 0, limits);
  if (found === null) throw new Error('the way between the two hosts stays closed');
}

async function must(...argv: string[]): Promise<void> {
  const [program = '', ...args] = argv;
  const { exitStatus, stderr } = await run(program, args);
  if (exitStatus !== 0) throw new Error(`${argv.join(' ')}: ${stderr.trim()}`);
}
