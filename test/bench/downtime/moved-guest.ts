import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { createQemuDriver } from '../../../src/guest/drivers/qemu/driver.ts';
import { createRecordStore } from '../../../src/guest/record-store.ts';
import { succeed } from '../../rigs/base/command.ts';
import { guestKernel } from '../../rigs/kernel/guest-kernel.ts';
import { ferriedGuest } from '../../support/guests/ferried-guest.ts';
import { powerButton } from '../../support/guests/guest-programs.ts';
import { buildGuestImage } from '../../support/guests/uml-guest.ts';
import { resultOf } from '../../support/programs/command-records.ts';
import { GUEST_ADDRESS, GUEST_TAP } from '../../support/ssh/shared-network.ts';
import type { HostFiles, TwoHosts } from '../../support/ssh/two-hosts.ts';
import { writingProgram } from './writing-program.ts';

const MAC = '52:54:00:07:07:78';
const network = { hostName: 'web', address: `${GUEST_ADDRESS}/24` };
const context = { signal: new AbortController().signal, report: () => undefined };

export interface GuestSize {
  imageBytes: number;
  /** In use, all but a few MiB. */
  bulkBytes: number;
  /** Where its image goes. */
  directory: string;
}

/** A guest that writes all the time, and runs on the old host. */
export interface MovedGuest extends AsyncDisposable {
  /** The arguments of the move. */
  migrateArguments: string[];
  consoleLog: string;
}

export async function startUmlGuest(
  hosts: TwoHosts,
  { imageBytes, bulkBytes, directory }: GuestSize,
): Promise<MovedGuest> {
  const guest = await ferriedGuest(hosts, 'web', {
    sizeBytes: imageBytes,
    dataBytes: 65_536,
    programs: [writingProgram(bulkBytes)],
    directory,
    network,
    extraArgs: [`eth0=tuntap,${GUEST_TAP},${MAC}`],
  });
  return {
    migrateArguments: await guest.migrateArguments(),
    consoleLog: guest.consoleLog,
    // The hosts end it.
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** Without hardware virtualization: it boots slowly. */
export async function startQemuGuest(
  hosts: TwoHosts,
  { imageBytes, bulkBytes, directory }: GuestSize,
  format: 'raw' | 'qcow2',
): Promise<MovedGuest> {
  const driverOf = ({ stateDir, home, environment }: HostFiles) =>
    createQemuDriver({ ...process.env, ...environment, HOME: home, VMFERRY_MACHINE: stateDir });
  const { kernel, initrd } = await guestKernel();
  const raw = join(directory, 'web.img');
  await buildGuestImage({
    path: raw,
    sizeBytes: imageBytes,
    dataBytes: 65_536,
    onCtrlAltDel: 'quick-poweroff',
    programs: [powerButton, writingProgram(bulkBytes)],
    network,
  });
  const path = format === 'raw' ? raw : join(directory, 'web.qcow2');
  if (format === 'qcow2') {
    await succeed('qemu-img', ['convert', '-f', 'raw', '-O', format, raw, path]);
    await rm(raw);
  }
  const consoleLog = join(hosts.old.stateDir, 'console', 'web.log');
  const definition = {
    name: 'web',
    driver: 'qemu',
    memoryBytes: 192 * 2 ** 20,
    cpuCount: 1,
    kernel,
    initrd,
    disks: [{ device: 'vda', path, readOnly: false, bus: 'virtio', format }],
    commandLine: ['root=/dev/vda', 'rw', 'console=ttyS0'],
    networkCards: [{ mac: MAC, model: 'virtio-net-pci', attachedTo: { kind: 'tap', name: GUEST_TAP } }],
    console: 'ttyS0',
  } as const;
  // As a guest that vmferry has halted: it is started in the network of its host.
  await createRecordStore(join(hosts.old.stateDir, 'guests')).write({ definition, state: 'halted' });
  resultOf(await hosts.run(['start', 'web', '--boot-timeout', '300', '--json']));
  const patience = ['--boot-timeout', '300', '--halt-timeout', '120'];
  return {
    migrateArguments: ['migrate', 'web', ...hosts.targetArguments(), ...patience, '--json'],
    consoleLog,
    async [Symbol.asyncDispose]() {
      for (const host of [hosts.old, hosts.new])
        for (const guest of await driverOf(host).list(context))
          await driverOf(host).halt(guest, { timeoutMs: 1, force: true }, context);
    },
  };
}
