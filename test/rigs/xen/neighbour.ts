import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import process from 'node:process';
import type { GuestDefinition } from '../../../src/guest/definition.ts';
import { createQemuDriver } from '../../../src/guest/drivers/qemu/driver.ts';
import type { RunningGuest } from '../../../src/guest/guest-driver.ts';
import { Resources } from '../../../src/pipeline/resources.ts';
import { run } from '../../../src/system/processes.ts';
import { GUEST_PORT } from '../../support/guests/uml-guest.ts';
import { programFile, vmferry, type EndedProgram } from '../../support/programs/command-line.ts';
import { introduceServer } from '../../support/ssh/ssh-client-files.ts';
import { startSshServer } from '../../support/ssh/ssh-server.ts';
import { succeed } from '../base/command.ts';
import type { Dom0 } from './start-xen.ts';

/** How dom0 reaches this machine: QEMU's network in user space. */
const ADDRESS_FOR_DOM0 = '10.0.2.2';
const ALIAS = 'neighbour';

/**
 * A host on this machine with images, records and guests of QEMU of its own. With a network that nothing else is in: guests
 * are in it by the tap device `tap`, and the host by 10.0.2.1. vmferry runs in it when it is called by ssh, not by `vmferry`.
 */
export interface Neighbour extends AsyncDisposable {
  images: string;
  tap: string;
  /** The arguments of `vmferry migrate` that name this host, in dom0. */
  targetArguments: readonly string[];
  vmferry(args: readonly string[]): Promise<EndedProgram>;
  start(definition: GuestDefinition): Promise<RunningGuest>;
  /** What a guest's console showed, of all its runs here. */
  consoleOf(name: string): string;
  /** Its guests of QEMU. */
  guests(): Promise<readonly RunningGuest[]>;
  /** The line with which a test guest answers in the host's own network; null while none does. */
  answerOf(address: string): Promise<string | null>;
}

/** @param environment further variables for vmferry on the host, such as its libvirt */
export async function startNeighbour(
  dom0: Dom0,
  environment: Readonly<Record<string, string>> = {},
): Promise<Neighbour> {
  await using resources = new Resources();
  const directory = await mkdtemp(join(tmpdir(), 'vmferry-neighbour-'));
  resources.hold({ [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) });
  const places = Object.fromEntries(
    ['images', 'state', 'home', 'uml', 'run'].map((name) => [name, join(directory, name)]),
  );
  for (const path of Object.values(places)) await mkdir(path);
  const { images = '', state = '', home = '', uml = '', run: runtime = '' } = places;
  const variables = {
    ...environment,
    HOME: home,
    UML_DIR: uml,
    VMFERRY_STATE_DIR: state,
    VMFERRY_MACHINE: state,
    XDG_RUNTIME_DIR: runtime,
  };
  const namespace = basename(directory);
  resources.hold(await makeNetwork(namespace));
  const driver = createQemuDriver({ ...process.env, ...variables });
  const context = { signal: new AbortController().signal, report: () => undefined };
  const consoleLogOf = (name: string) => join(state, 'console', `${name}.log`);
  const guests = () => driver.list(context);
  resources.hold({
    async [Symbol.asyncDispose]() {
      for (const guest of await guests()) await driver.halt(guest, { timeoutMs: 1, force: true }, context);
    },
  });
  const targetArguments = await letDom0In(dom0, { directory, images, namespace, variables }, resources);
  const held = resources.release();
  return {
    images,
    tap: TAP,
    targetArguments,
    vmferry: (args) => vmferry(args, variables),
    start: (definition) =>
      driver.start(definition, { consoleLog: consoleLogOf(definition.name), timeoutMs: 300_000 }, context),
    consoleOf: (name) => (existsSync(consoleLogOf(name)) ? readFileSync(consoleLogOf(name), 'latin1') : ''),
    guests,
    answerOf: async (address) => {
      const netcat = ['busybox', 'nc', '-w', '3', address, String(GUEST_PORT)];
      return (await run('ip', ['netns', 'exec', namespace, ...netcat])).stdout.trim() || null;
    },
    [Symbol.asyncDispose]: () => held[Symbol.asyncDispose](),
  };
}

const TAP = 'tap0';

async function makeNetwork(namespace: string): Promise<AsyncDisposable> {
  await succeed('ip', ['netns', 'add', namespace]);
  for (const line of [
    `tuntap add ${TAP} mode tap`,
    `address add 10.0.2.1/24 dev ${TAP}`,
    `link set ${TAP} up`,
    'link set lo up',
  ])
    await succeed('ip', ['-n', namespace, ...line.split(' ')]);
  return {
    async [Symbol.asyncDispose]() {
      await run('ip', ['netns', 'del', namespace]);
    },
  };
}

/** Starts an sshd, and writes into dom0 what it takes to log in there. */
async function letDom0In(
  dom0: Dom0,
  host: { directory: string; images: string; namespace: string; variables: Record<string, string> },
  resources: Resources,
): Promise<string[]> {
  const server = resources.hold(await startSshServer());
  const place = { alias: ALIAS, address: ADDRESS_FOR_DOM0, port: server.port };
  const hostKeys = Object.values(server.hostKeyFiles);
  const clientFiles = join(host.directory, 'for-dom0');
  await mkdir(clientFiles);
  const { sshConfigFile, knownHostsFile, identityFile } = await introduceServer(clientFiles, place, hostKeys);
  await dom0.run('mkdir', ['-p', clientFiles]);
  await dom0.put(sshConfigFile, sshConfigFile);
  await dom0.put(knownHostsFile, knownHostsFile);
  await dom0.put(server.identityFile, identityFile);
  await dom0.run('chmod', ['600', identityFile]);
  const command = join(host.directory, 'vmferry');
  const exports = Object.entries(host.variables).map(([name, value]) => `${name}='${value}'`);
  const words = `ip netns exec ${host.namespace} '${process.execPath}' '${programFile}' "$@"`;
  await writeFile(command, `#!/bin/sh\nexport ${exports.join(' ')}\nexec ${words}\n`, { mode: 0o755 });
  return ['--to', `${ALIAS}:${host.images}`, '-F', sshConfigFile, '--remote-command', command];
}
