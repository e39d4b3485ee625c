import type { GuestDefinition, NetworkCard } from '../definition.ts';
import { describeAttached, type AttachedTo } from './choices.ts';
import type { Ledger } from './ledger.ts';

/** A network card in the arguments of a User Mode Linux kernel. */
export interface UmlCard {
  /** Its name in the guest: `eth0`, `vec0`. */
  name: string;
  card: NetworkCard;
  /** Settings that `card` does not have, as they were given. */
  beyond: readonly string[];
}

/**
 * Arguments that only a User Mode Linux kernel takes, by `linux --help` and arch/um of the kernel (6.1). For some the first
 * letters suffice.
 */
const onlyUml =
  /^(?:eth\d+=|vec\d+:|con\d*=|ssl\d*=|ubd|udb=|hostfs=|mconsole=|xterm=|dsp=|mixer=|iomem=|dtb=|virtio[-_]uml|time-travel|umid=|uml_dir=|uml_reserved|fake_ide$|jail$|honeypot$|skas0$|mode=|no(?:procmm|ptracefaultinfo|ptraceldt|sysemu|umid|reboot$)|seccomp=|aio=|stub|debug(?:trace)?=|gdb(?:-pid)?=|quiet_uml)/;

/** Arguments that a User Mode Linux kernel takes for its own, though they mean something else to the kernel of another machine. */
const takenByUml = /^(?:mem=|ncpus=|initrd=)/;

export function isOnlyUml(argument: string): boolean {
  return onlyUml.test(argument.replaceAll('"', ''));
}

export function isTakenByUml(argument: string): boolean {
  return isOnlyUml(argument) || takenByUml.test(argument);
}

/** Reads the card in an argument such as `eth0=tuntap,tap0,02:00:00:00:00:01`; null for anything else. */
export function readUmlCard(argument: string): UmlCard | null {
  const text = argument.replaceAll('"', '');
  const [, vector, options] = /^(vec\d+):(.*)$/s.exec(text) ?? [];
  if (vector !== undefined) return readVector(vector, (options ?? '').split(','));
  const [, name, transport, rest] = /^(eth\d+)=([a-z]+)(?:,(.*))?$/s.exec(text) ?? [];
  if (name === undefined) return null;
  const values = (rest ?? '').split(',');
  const hasDevice = transport === 'tuntap' || transport === 'ethertap';
  const [device = ''] = values;
  const mac =
    transport === 'slip' || transport === 'pcap'
      ? undefined
      : values[hasDevice || transport === 'vde' ? 1 : 0];
  const others = values.filter(
    (value, index) => value !== '' && value !== mac && !(hasDevice && index === 0),
  );
  return {
    name,
    card: { ...macOf(mac), attachedTo: attachment(transport ?? '', device) },
    beyond: transport === 'slirp' ? others.filter((value) => value !== 'slirp') : others,
  };
}

function readVector(name: string, options: readonly string[]): UmlCard {
  const value = (key: string) =>
    options.find((option) => option.startsWith(`${key}=`))?.slice(key.length + 1);
  const known = /^(?:transport|mac)=/;
  const tap = value('transport') === 'tap' ? (value('ifname') ?? '') : '';
  return {
    name,
    card: {
      ...macOf(value('mac')),
      attachedTo: attachment(value('transport') === 'tap' ? 'tuntap' : '', tap),
    },
    beyond: options.filter((option) => option !== '' && !known.test(option) && option !== `ifname=${tap}`),
  };
}

function attachment(transport: string, device: string): AttachedTo {
  if (transport === 'slirp') return { kind: 'user' };
  const isTap = transport === 'tuntap' && /^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$/.test(device);
  return isTap ? { kind: 'tap', name: device } : { kind: 'other' };
}

function macOf(text: string | undefined): { mac?: string } {
  const mac = text?.toLowerCase() ?? '';
  return /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/.test(mac) ? { mac } : {};
}

/** Takes the arguments of User Mode Linux out of a command line. What the target cannot have is listed. */
export function readUmlArguments(
  { commandLine }: Pick<GuestDefinition, 'commandLine'>,
  ledger: Ledger,
): { cards: UmlCard[]; commandLine: string[] } {
  const cards: UmlCard[] = [];
  const rest: string[] = [];
  for (const argument of commandLine) {
    const card = readUmlCard(argument);
    if (card !== null) {
      cards.push(card);
      const attached =
        card.card.attachedTo.kind === 'other'
          ? ''
          : `, attached to ${describeAttached(card.card.attachedTo)}`;
      ledger.changes.push(`${argument} becomes a network card${attached}.`);
      if (card.beyond.length > 0)
        ledger.losses.push(
          `${card.name}: ${card.beyond.join(', ')} in ${argument} is known to User Mode Linux only.`,
        );
    } else if (!isOnlyUml(argument)) rest.push(argument);
    else if (isPlainConsole(argument))
      ledger.changes.push(`${argument} is left out: the guest has its hypervisor's console.`);
    else ledger.losses.push(`${argument} is known to User Mode Linux only.`);
  }
  return { cards, commandLine: rest };
}

/** A console or serial line of a guest that runs detached: nothing reads or writes it but the log. */
function isPlainConsole(argument: string): boolean {
  return /^(?:con|ssl)\d*=(?:null|fd:\d+)(?:,(?:null|fd:\d+))?$/.test(argument);
}

/** A name for a tap device (at most 15 bytes, IFNAMSIZ in linux/if.h) that belongs to the guest's card. */
export function tapName(guest: string, index: number): string {
  const start = guest.replaceAll(/[^A-Za-z0-9]/g, '').slice(0, 10);
  return `${start === '' ? 'uml' : start}-${index}`;
}

/** The argument for a card. For a bridge it names a tap device, which has to be made and put into the bridge. */
export function umlCardArgument(guest: string, index: number, { mac = '', attachedTo }: NetworkCard): string {
  if (attachedTo.kind === 'user') return `eth${index}=slirp${mac === '' ? '' : `,${mac}`}`;
  const device = attachedTo.kind === 'tap' ? attachedTo.name : tapName(guest, index);
  return `eth${index}=tuntap,${device}${mac === '' ? '' : `,${mac}`}`;
}
