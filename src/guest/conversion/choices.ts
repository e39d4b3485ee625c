import { Failure } from '../../failure.ts';
import type { GuestKernel } from '../boot-menu/guest-kernel.ts';
import type { HypervisorKind } from '../definition-language.ts';
import type { DiskBus, GuestDefinition, ImageFormatName, NetworkCard } from '../definition.ts';

export type AttachedTo = NetworkCard['attachedTo'];

/** What a person, or the look into the guest, decides about a conversion. All are optional. */
export interface ConversionChoices {
  /** New places of disks, by the names that `findDisk` knows. */
  disks?: ReadonlyMap<string, { path: string; format?: ImageFormatName }>;
  /** Absolute paths on the new machine. */
  kernel?: string;
  initrd?: string;
  /**
   * The kernel is taken out of the guest's own disk; `not-seen`: nobody has looked at that yet; `not-taken`: nobody will, as only the definition is
   * converted.
   */
  guestKernel?: GuestKernel | 'not-seen' | 'not-taken';
  boot?: NonNullable<GuestDefinition['boot']>;
  /**
   * The root file system, as the guest's kernel is told: `/dev/vda1` by the old names, `UUID=…`. It is used where a guest that had a
   * boot menu of its own gets its kernel from outside.
   */
  root?: string;
  /** What cards are attached to, by card: `eth0` for the first, `eth1` for the second, or the MAC. */
  networks?: ReadonlyMap<string, AttachedTo>;
  /** The buses that the guest has drivers for, best first. Unknown if absent. */
  buses?: readonly DiskBus[];
  /** The models of network cards that the guest has drivers for, best first. Unknown if absent. */
  cardModels?: readonly string[];
}

export interface ConversionTarget {
  driver: HypervisorKind;
  choices: ConversionChoices;
}

/** Parses what a card is attached to: `br0` and `bridge:br0`, `network:default`, `tap:tap0`, `user`. Throws Failure `usage`. */
export function parseAttachedTo(text: string): AttachedTo {
  if (text === 'user') return { kind: 'user' };
  const [, kind = 'bridge', name] =
    /^(?:(bridge|network|tap):)?([A-Za-z0-9][A-Za-z0-9._+-]{0,127})$/.exec(text) ?? [];
  if (name === undefined)
    throw new Failure(
      'usage',
      `${text} is no network: name a bridge (br0), network:NAME, tap:NAME, or user.`,
    );
  return { kind: kind === 'network' || kind === 'tap' ? kind : 'bridge', name };
}

export function describeAttached(attachedTo: AttachedTo): string {
  if (attachedTo.kind === 'user') return 'a network in user space';
  if (attachedTo.kind === 'other') return 'a network that only its hypervisor knows';
  return `${attachedTo.kind === 'tap' ? 'tap device' : attachedTo.kind} ${attachedTo.name}`;
}
