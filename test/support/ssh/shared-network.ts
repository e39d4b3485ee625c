import { run } from '../../../src/system/processes.ts';
import { GUEST_PORT } from '../guests/uml-guest.ts';
import type { LabHost } from './network-lab.ts';
import type { TwoHosts } from './two-hosts.ts';

/** The tap device of a guest's card, on each host: `eth0=tuntap,GUEST_TAP,MAC`. */
export const GUEST_TAP = 'tap0';

/** An address of the network that the two hosts share. */
export const GUEST_ADDRESS = '10.231.7.77';

/** Otherwise a bridge takes the lowest address of its ports, and changes it when a port leaves: its neighbours then lose it. */
const bridgeMac = { old: '52:54:00:07:07:01', new: '52:54:00:07:07:02' } as const;

/**
 * Gives both hosts a bridge that joins the cable between them with a tap device for a guest, as on two machines in one
 * network: the guest has the same address on either, and the other host reaches it.
 */
export async function shareNetwork({ lab }: TwoHosts): Promise<void> {
  for (const host of ['old', 'new'] as const) {
    const address = `${lab.addresses[host]}/24`;
    const bridge = ['br0', 'address', bridgeMac[host], 'type', 'bridge', 'forward_delay', '0'];
    await ip(lab.prefix(host), 'link', 'add', ...bridge);
    await ip(lab.prefix(host), 'tuntap', 'add', GUEST_TAP, 'mode', 'tap');
    await ip(lab.prefix(host), 'link', 'set', GUEST_TAP, 'master', 'br0', 'up');
    await ip(lab.prefix(host), 'link', 'set', 'wan0', 'master', 'br0');
    await ip(lab.prefix(host), 'address', 'del', address, 'dev', 'wan0');
    await ip(lab.prefix(host), 'address', 'add', address, 'dev', 'br0');
    await ip(lab.prefix(host), 'link', 'set', 'br0', 'up');
  }
}

/** The line with which a test guest (`GuestNetwork`) answers to a host at GUEST_ADDRESS; empty while none does. */
export async function answerOfGuest({ lab }: TwoHosts, host: LabHost): Promise<string> {
  const netcat = ['busybox', 'nc', '-w', '3', GUEST_ADDRESS, String(GUEST_PORT)];
  return (await lab.runOn(host, netcat)).stdout.trim();
}

/** Takes the guest's card off the network of this host, or puts it back. */
export async function joinGuest({ lab }: TwoHosts, host: LabHost, isJoined: boolean): Promise<void> {
  const master = isJoined ? ['master', 'br0'] : ['nomaster'];
  await ip(lab.prefix(host), 'link', 'set', GUEST_TAP, ...master);
}

async function ip(prefix: readonly string[], ...args: string[]): Promise<void> {
  const [program = '', ...rest] = [...prefix, 'ip', ...args];
  const { exitStatus, stderr } = await run(program, rest);
  if (exitStatus !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr.trim()}`);
}
