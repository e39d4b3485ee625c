import { existsSync } from 'node:fs';
import { Failure } from '../../../failure.ts';
import type { GuestDefinition } from '../../definition.ts';
import type { EarlierStates, KeptGuest, RunningGuest } from '../../guest-driver.ts';
import { readDomain } from './domain/read-domain.ts';
import { domainInfo, isGone, listDomains, noAnswer, type DomainInfo } from './domains.ts';
import { isFenced, withoutFence } from './domain/fence-paths.ts';
import { identityOf, QemuProcesses } from './identity.ts';
import { takeOutPasswords } from './domain/passwords.ts';
import { findOtherBacking } from './chains/backing-stores.ts';
import { findSnapshots } from './snapshots.ts';
import { tpmDirectory } from './checks/tpm.ts';
import { whyUndroppable } from './checks/undroppable.ts';
import type { AskOptions, Virsh } from './virsh.ts';

/** The domains that run. Throws as `listDomains` does. */
export async function findRunning(virsh: Virsh, signal: AbortSignal): Promise<RunningGuest[]> {
  const options = { signal, mayStartLibvirt: false };
  const uuids = await listDomains(virsh, 'running', options);
  const guests: RunningGuest[] = [];
  if (uuids.length === 0) return guests;
  const processes = new QemuProcesses();
  for (const uuid of uuids) {
    const guest = await findRunningDomain(virsh, uuid, processes, options);
    if (guest !== null) guests.push(guest);
  }
  return guests;
}

/** The domain if it runs now; null if it does not. */
export async function findRunningDomain(
  virsh: Virsh,
  uuid: string,
  processes: QemuProcesses,
  options: AskOptions,
): Promise<RunningGuest | null> {
  const info = await domainInfo(virsh, uuid, options);
  if (info === null || info.id === null) return null;
  const described = await describe(virsh, info, options);
  if (described === null) return null;
  const { definition, problems, earlierStates } = described;
  const [unsupported] = [...problems, ...(await problemsNow(virsh, info, definition, options))];
  return {
    definition,
    identity: identityOf(info, processes),
    cpuSeconds: info.cpuSeconds,
    ...(unsupported === undefined ? {} : { unsupported }),
    ...(earlierStates === undefined ? {} : { earlierStates }),
  };
}

/** The domains that are defined and do not run. Throws as `listDomains` does. */
export async function findKept(virsh: Virsh, signal: AbortSignal): Promise<KeptGuest[]> {
  const { sessionDirectory } = virsh.host;
  // Without any domain of the account, its libvirt need not be started.
  const mayStartLibvirt = sessionDirectory === null || existsSync(sessionDirectory);
  const options = { signal, mayStartLibvirt };
  const guests: KeptGuest[] = [];
  for (const uuid of await listDomains(virsh, 'kept', options)) {
    const kept = await findKeptDomain(virsh, uuid, options);
    if (kept !== null) guests.push(kept);
  }
  return guests;
}

/** `domain`: a UUID or a name. Null when it is not known, or runs. */
export async function findKeptDomain(
  virsh: Virsh,
  domain: string,
  options: AskOptions,
): Promise<KeptGuest | null> {
  const info = await domainInfo(virsh, domain, options);
  if (info === null || info.id !== null) return null;
  const described = await describe(virsh, info, options);
  if (described === null) return null;
  const saved = info.isSaved ? [savedState(info.name)] : [];
  const fenced = described.isFenced ? [fencedGuest(info.name)] : [];
  const [unsupported] = [...fenced, ...saved, ...described.problems];
  const { definition, earlierStates } = described;
  const askHelp = async () => (await virsh.ask(['help', 'undefine'], options)).text;
  const directory = tpmDirectory(virsh.host.sessionDirectory);
  const undroppable = described.isFenced ? await whyUndroppable(definition, directory, askHelp) : null;
  return {
    definition,
    ...(undroppable === null ? {} : { undroppable }),
    ...(unsupported === undefined ? {} : { unsupported }),
    ...(earlierStates === undefined ? {} : { earlierStates }),
  };
}

interface Described {
  definition: GuestDefinition;
  problems: readonly Failure[];
  isFenced: boolean;
  earlierStates: EarlierStates | undefined;
}

/** What libvirt would start the next time. Null when it has gone meanwhile. Throws as `domainInfo` does. */
async function describe(virsh: Virsh, info: DomainInfo, options: AskOptions): Promise<Described | null> {
  const dump = ['dumpxml', '--inactive', '--security-info', `--domain=${info.uuid}`];
  const { ok, text, problem } = await virsh.ask(dump, options);
  if (!ok && (await isGone(virsh, info.uuid, options))) return null;
  if (!ok) throw noAnswer(problem);
  const fenced = isFenced(text);
  const open = takeOutPasswords(fenced ? withoutFence(text) : text);
  const name = `the domain ${info.name}`;
  try {
    const volumePath = await resolveVolumes(virsh, open.text, name, options);
    const { definition, problems } = readDomain(open.text, name, volumePath);
    const beyond = [...(definition.native?.beyond ?? []), ...open.taken];
    return {
      definition: {
        ...definition,
        // Before the first start, libvirt has not made this file.
        disks: definition.disks.filter(({ purpose, path }) => purpose === undefined || existsSync(path)),
        autostart: info.autostart,
        native: { text: open.text, beyond },
      },
      problems: [...problems, ...findOtherBacking(open.text, definition.name, definition.disks)],
      isFenced: fenced,
      earlierStates: await findSnapshots(virsh, info, options),
    };
  } catch (error) {
    if (error instanceof Failure && error.code === 'guest-unsupported') return null;
    throw error;
  }
}

async function resolveVolumes(virsh: Virsh, text: string, name: string, options: AskOptions) {
  const wanted: (readonly [string, string])[] = [];
  readDomain(text, name, (pool, volume) => {
    wanted.push([pool, volume]);
    return undefined;
  });
  const paths = new Map<string, string>();
  for (const [pool, volume] of wanted) {
    const answer = await virsh.ask(['vol-path', `--pool=${pool}`, `--vol=${volume}`], options);
    if (answer.ok) paths.set(JSON.stringify([pool, volume]), answer.text.trim());
  }
  return (pool: string, volume: string) => paths.get(JSON.stringify([pool, volume]));
}

/**
 * What is wrong only while it runs: it may use other disks than it will after its next start (after a change on both, or a snapshot
 * of one), or a job may be about to replace one.
 */
async function problemsNow(
  virsh: Virsh,
  info: DomainInfo,
  definition: GuestDefinition,
  options: AskOptions,
): Promise<readonly Failure[]> {
  const { ok, text } = await virsh.ask(['dumpxml', `--domain=${info.uuid}`], options);
  if (!ok) return [];
  const name = `the domain ${info.name}`;
  const live = readDomain(text, name, await resolveVolumes(virsh, text, name, options));
  if (live.problems.length > 0) return live.problems;
  const images = ({ disks }: GuestDefinition) =>
    disks.filter(({ purpose }) => purpose === undefined).map(({ device, path }) => `${device} ${path}`);
  const [now, later] = [images(live.definition), images(definition)];
  const onlyNow = now.filter((one) => !later.includes(one));
  const onlyLater = later.filter((one) => !now.includes(one));
  if (onlyNow.length === 0 && onlyLater.length === 0) return [];
  return [
    new Failure(
      'guest-unsupported',
      `The guest ${info.name} runs with other disks than it is defined with (now: ${onlyNow.join(', ') || 'without'}; defined: ${onlyLater.join(', ') || 'without'}).`,
      { advice: 'Make its definition agree with `virsh edit`, or shut it down first.' },
    ),
  ];
}

function savedState(name: string): Failure {
  return new Failure(
    'guest-unsupported',
    `The guest ${name} was saved with its memory (virsh managedsave): its disks are not whole without that.`,
    { advice: `Start it and shut it down, or drop what was saved: virsh managedsave-remove ${name}` },
  );
}

function fencedGuest(name: string): Failure {
  return new Failure(
    'guest-fenced',
    `The guest ${name} was moved away, and libvirt keeps it without its disks.`,
    {
      advice: `To have it back: vmferry revert ${name}`,
    },
  );
}
