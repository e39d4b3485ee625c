import { existsSync, readFileSync } from 'node:fs';
import type { Context } from '../../../events.ts';
import { Failure } from '../../../failure.ts';
import { command, here, placed } from '../../../placed-text.ts';
import type { GuestDefinition } from '../../definition.ts';
import { checkCapabilities } from './capabilities.ts';
import { findReaching } from './domain/reaching.ts';
import { domainInfo } from './domains.ts';
import { findKept, findKeptDomain, findRunning } from './find.ts';
import { alreadyRunning, taken } from './keep.ts';
import { isSameGuest } from './domain/same-guest.ts';
import { domainXml } from './language.ts';
import type { Virsh } from './virsh.ts';
import { missingThings } from './checks/named-things.ts';
import { missingTpmState, tpmDirectory, tpmStateNotice } from './checks/tpm.ts';

/**
 * Everything that keeps libvirt here from starting the guest, but for KVM (`probeKvm`). Changes nothing.
 * @param coming see `GuestDriver.checkBootable`
 */
export async function checkDomain(
  definition: GuestDefinition,
  virsh: Virsh,
  { signal }: Context,
  coming: readonly string[] = [],
): Promise<Failure[]> {
  const connection = await virsh.ask(['version'], { signal });
  if (!connection.isConnected) return [libvirtMissing(connection.problem)];
  const { name } = definition;
  const info = await domainInfo(virsh, name, { signal });
  if (info !== null && info.id !== null) return [alreadyRunning(name)];
  const known = info === null ? null : await findKeptDomain(virsh, info.uuid, { signal });
  const isTaken = info !== null && (known === null || !isSameGuest(known.definition, definition));
  const saved = known?.unsupported;
  const xml = domainXml(definition, 'qemu');
  // libvirt itself has made the TPM of a guest that it knows. One that was moved away may come back from elsewhere.
  const isKept = known !== null && saved?.code !== 'guest-fenced';
  const tpm = isKept ? [] : missingTpmState(xml, definition, tpmDirectory(virsh.host.sessionDirectory));
  return [
    ...(isTaken ? [taken(name)] : []),
    ...(saved !== undefined && saved.message.includes('managedsave') ? [saved] : []),
    ...(await takenByOthers(definition, virsh, signal)),
    ...missingFiles(definition, coming),
    ...missingThings(xml, name),
    ...tpm,
    ...(await missingNetworks(definition, virsh, signal)),
    ...(await checkCapabilities(definition, virsh, signal)),
  ];
}

/** Reports what a guest that comes to this machine finds here and cannot bring along. */
export function tellOfArrival(definition: GuestDefinition, { host }: Virsh, { report }: Context): void {
  const directory = tpmDirectory(host.sessionDirectory);
  const message = tpmStateNotice(domainXml(definition, 'qemu'), definition, directory);
  if (message !== null) report({ type: 'warning', code: 'other', message });
}

function libvirtMissing(problem: string): Failure {
  return new Failure('hypervisor-missing', placed`libvirt cannot be used ${here}: ${problem}.`, {
    advice: placed`On Debian: \`${command('apt-get', 'install', 'libvirt-daemon-system', 'libvirt-clients')}\`. To choose another libvirt, set LIBVIRT_DEFAULT_URI.`,
  });
}

/** What must be of one guest alone: its UUID, the addresses of its cards, its disks. */
async function takenByOthers(
  definition: GuestDefinition,
  virsh: Virsh,
  signal: AbortSignal,
): Promise<Failure[]> {
  const guests = [
    ...(await findRunning(virsh, signal)).map((guest) => ({ ...guest, runs: true })),
    ...(await findKept(virsh, signal)).map((guest) => ({ ...guest, runs: false })),
  ];
  const others = guests.filter((other) => other.definition.name !== definition.name);
  const problems: Failure[] = [];
  const { uuid, networkCards = [], disks } = definition;
  for (const { definition: other, unsupported, runs } of others) {
    if (uuid !== undefined && other.uuid === uuid)
      problems.push(
        new Failure(
          'target-exists',
          placed`The UUID of ${definition.name} is that of ${other.name} ${here}.`,
          {
            advice: placed`Forget that guest if it is the same one: \`${command('virsh', 'undefine', other.name, '--keep-nvram')}\`.`,
          },
        ),
      );
    // A guest that was moved away keeps its addresses and does not use them.
    if (unsupported?.code === 'guest-fenced') continue;
    const macs = (other.networkCards ?? []).map(({ mac }) => mac);
    for (const { mac } of networkCards)
      if (mac !== undefined && macs.includes(mac) && runs)
        problems.push(
          new Failure(
            'target-exists',
            placed`The network address ${mac} is that of ${other.name}, which runs ${here}.`,
            {
              advice: 'Give one of the two another address, with `virsh edit`.',
            },
          ),
        );
    for (const disk of disks) {
      const same = other.disks.find(({ path }) => path === disk.path);
      if (same === undefined || (same.readOnly && disk.readOnly)) continue;
      problems.push(
        new Failure('image-in-use', placed`The disk ${disk.path} is that of ${other.name} ${here}, too.`, {
          advice: 'Two guests that write to one disk destroy it. Choose another file.',
        }),
      );
    }
  }
  return problems;
}

function missingFiles(
  { name, boot = 'kernel', kernel, initrd, firmware }: GuestDefinition,
  coming: readonly string[],
): Failure[] {
  if (boot === 'kernel' && kernel === null)
    return [
      new Failure('hypervisor-missing', placed`There is no kernel for ${name} ${here}: /boot has none.`, {
        advice: placed`Name one with --kernel (--kernel guest: the one on the guest's own disk), or install one. On Debian: \`${command('apt-get', 'install', 'linux-image-amd64')}\`.`,
      }),
    ];
  const files = [
    ['kernel', kernel],
    ['initial RAM disk', initrd],
    ['UEFI firmware', firmware?.kind === 'uefi' ? firmware.code : null],
  ] as const;
  return files
    .filter(([, path]) => path !== null && !coming.includes(path) && !existsSync(path))
    .map(
      ([what, path]) =>
        new Failure('hypervisor-missing', placed`The guest's ${what} ${path ?? ''} is not ${here}.`, {
          advice:
            what === 'UEFI firmware'
              ? placed`On Debian: \`${command('apt-get', 'install', 'ovmf')}\`; or copy it to the same path.`
              : what === 'kernel'
                ? "Copy it from the machine that the guest ran on, to the same path, or name another one (--kernel guest: the one on the guest's own disk)."
                : 'Copy it from the machine that the guest ran on, to the same path.',
        }),
    );
}

async function missingNetworks(
  { networkCards = [] }: GuestDefinition,
  virsh: Virsh,
  signal: AbortSignal,
): Promise<Failure[]> {
  const problems: Failure[] = [];
  const wanted = new Map(
    networkCards.flatMap(({ attachedTo }) =>
      attachedTo.kind === 'bridge' || attachedTo.kind === 'network'
        ? [[`${attachedTo.kind} ${attachedTo.name}`, attachedTo] as const]
        : [],
    ),
  );
  for (const { kind, name } of wanted.values()) {
    if (kind === 'bridge') {
      if (!hasInterface(name))
        problems.push(
          new Failure('hypervisor-missing', placed`The bridge ${name} is not ${here}.`, {
            advice: 'Make it, or connect the card to another one.',
          }),
        );
      continue;
    }
    const { ok, text } = await virsh.ask(['net-info', `--network=${name}`], { signal });
    if (!ok)
      problems.push(
        new Failure('hypervisor-missing', placed`The network ${name} of libvirt is not ${here}.`, {
          advice: placed`Define it with \`${command('virsh', 'net-define', 'FILE')}\`, as \`virsh net-dumpxml ${name}\` prints it on the other machine.`,
        }),
      );
    else if (!/^Active: +yes$/m.test(text))
      problems.push(
        new Failure('hypervisor-missing', placed`The network ${name} of libvirt is not active ${here}.`, {
          advice: placed`Start it with \`${command('virsh', 'net-start', name)}\`, and with the machine with \`${command('virsh', 'net-autostart', name)}\`.`,
        }),
      );
  }
  return problems;
}

/** In this network namespace; /sys may show another one. */
function hasInterface(name: string): boolean {
  const lines = readFileSync('/proc/self/net/dev', 'utf8').split('\n');
  return lines.some((line) => line.trimStart().startsWith(`${name}:`));
}

/**
 * For a definition that anybody may have written: whatever in its XML reaches more of this machine than its disks is refused. A
 * domain may start programs, write files and take devices.
 */
export function checkVouchedFor({ name, native, drives = [] }: GuestDefinition): Failure[] {
  const media = drives.flatMap(({ path }) => (path === null ? [] : [`the medium ${path}`]));
  const reaching = [...media, ...(native === undefined ? [] : findReaching(native.text))];
  if (reaching.length === 0) return [];
  return [
    new Failure(
      'guest-unsupported',
      `The definition of ${name} comes from an archive, or from a store that is not encrypted, so anybody may have written it. It reaches into this machine: ${reaching.slice(0, 5).join('; ')}.`,
      { advice: 'Restore or import the disks, and define the guest by hand.' },
    ),
  ];
}
