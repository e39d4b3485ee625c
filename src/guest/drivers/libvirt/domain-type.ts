import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { randomUUID } from 'node:crypto';
import type { Context } from '../../../events.ts';
import { Failure } from '../../../failure.ts';
import { here, placed } from '../../../placed-text.ts';
import { poll } from '../../../pipeline/polling.ts';
import type { GuestDefinition } from '../../definition.ts';
import { domainTypeOf } from './domain/domain-type.ts';
import type { DomainType } from './domain/write-domain.ts';
import { domainInfo } from './domains.ts';
import type { Virsh } from './virsh.ts';

const probeTimeoutMs = 20_000;
const intervalMs = 50;
/** With KVM that works, the BIOS needs less than a tenth of a second of a processor until it says its name. */
const PROBE_CPU_SECONDS = 0.5;

/** The answers of `probe`, which stay the same. */
const answers = new WeakMap<Virsh, boolean>();

/** How a guest is run: as its own XML says, else by KVM where that works. */
export async function typeFor(
  { native, driver }: GuestDefinition,
  virsh: Virsh,
  context: Context,
): Promise<DomainType> {
  if (driver === 'libvirt' && native !== undefined) return domainTypeOf(native.text);
  return (await runsKvm(virsh, context)) ? 'kvm' : 'qemu';
}

/** A failure for a guest that needs KVM on a machine where no guest runs with it; null when it can run. */
export async function probeKvm(
  definition: GuestDefinition,
  virsh: Virsh,
  context: Context,
): Promise<Failure | null> {
  const { native } = definition;
  if (native === undefined || domainTypeOf(native.text) !== 'kvm' || (await runsKvm(virsh, context)))
    return null;
  return new Failure(
    'hypervisor-missing',
    placed`${definition.name} runs with KVM, and no guest starts with KVM ${here}.`,
    {
      advice:
        "Switch on virtualization in the firmware of the machine, or nested virtualization on its host. To have the guest emulated, which is much slower, change its definition to type='qemu' with `virsh edit` first.",
    },
  );
}

async function runsKvm(virsh: Virsh, context: Context): Promise<boolean> {
  const answer = answers.get(virsh) ?? (await probe(virsh, context));
  answers.set(virsh, answer);
  return answer;
}

/**
 * Whether a guest runs with KVM here, as fast as it should: a device file proves nothing. A domain without disks is started for a
 * moment, whose BIOS says its name on a serial line.
 */
async function probe(virsh: Virsh, { signal }: Context): Promise<boolean> {
  const { ok } = await virsh.ask(['domcapabilities', '--virttype=kvm'], { signal });
  if (!ok) return false;
  const directory = await mkdtemp(join(virsh.host.environment['TMPDIR'] || tmpdir(), 'vmferry-kvm-'));
  const log = join(directory, 'console');
  const name = `vmferry-probe-${basename(directory).slice('vmferry-kvm-'.length)}`;
  const uuid = randomUUID();
  try {
    const { ok: starts } = await virsh.askWithXml(probeDomain(name, uuid, log), (file) => ['create', file]);
    if (!starts) return false;
    const startedAt = await cpuSeconds(uuid, virsh);
    const isSlow = async () => (await cpuSeconds(uuid, virsh)) > startedAt + PROBE_CPU_SECONDS;
    const answer = await poll(
      async () => {
        if (/SeaBIOS \([^)\r\n]*\)/.test(readIfThere(log))) return 'runs';
        return (await isSlow()) ? 'slow' : null;
      },
      { timeoutMs: probeTimeoutMs, intervalMs, signal },
    );
    return answer === 'runs' && !(await isSlow());
  } finally {
    await virsh.ask(['destroy', `--domain=${uuid}`]);
    await rm(directory, { recursive: true, force: true });
  }
}

async function cpuSeconds(uuid: string, virsh: Virsh): Promise<number> {
  return (await domainInfo(virsh, uuid))?.cpuSeconds ?? 0;
}

function probeDomain(name: string, uuid: string, log: string): string {
  return `<domain type='kvm'>
  <name>${name}</name>
  <uuid>${uuid}</uuid>
  <memory unit='MiB'>32</memory>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <bios useserial='yes'/>
  </os>
  <on_reboot>destroy</on_reboot>
  <devices>
    <serial type='pty'>
      <log file='${log}' append='on'/>
    </serial>
    <memballoon model='none'/>
  </devices>
</domain>
`;
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
