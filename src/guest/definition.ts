import { z } from 'zod';
import { Failure } from '../failure.ts';
import { issuesText, shortArray } from './short-array.ts';

export type DriverKind = 'uml' | 'offline';

/** One disk of a guest. */
export interface DiskDefinition {
  /** The guest's name for the slot: `ubd0` for User Mode Linux. */
  device: string;
  /** Absolute path of the image on the machine that the definition belongs to. */
  path: string;
  readOnly: boolean;
  /** The driver's own letters for the slot, unchanged; for User Mode Linux some of `s`, `c`, `d`, `t`. */
  flags?: string;
  /** The serial number that the guest is shown. */
  serial?: string;
}

/**
 * What a hypervisor needs to boot a guest, in one form for all hypervisors. It is plain JSON: it crosses the wire and is
 * kept in the guest's record.
 */
export interface GuestDefinition {
  /** The guest's name; for User Mode Linux its umid. It is used as a file name, too: see `isGuestName`. */
  name: string;
  driver: DriverKind;
  memoryBytes: number | null;
  cpuCount: number | null;
  /** Absolute path of the kernel (for User Mode Linux: of the program itself); null for an image that no guest uses. */
  kernel: string | null;
  /** Absolute path of an initial RAM disk. */
  initrd: string | null;
  disks: readonly DiskDefinition[];
  /** Everything else of the kernel's command line, in its order: root=, con0=, eth0=, … */
  commandLine: readonly string[];
}

/** Whether it is an image that no guest uses: there is nothing to halt, boot or remember. */
export function isImageOnly({ driver }: Pick<GuestDefinition, 'driver'>): boolean {
  return driver === 'offline';
}

/** Leaves room in a file name (255 bytes) for an ending: `.partial`, `.json`. */
const maximumNameBytes = 200;

/**
 * Whether the text can be a guest's name. As a file name it must stay in its directory and not be hidden, as an argument it
 * must not look like an option, and it must have no invisible characters.
 */
export function isGuestName(name: string): boolean {
  return (
    /^[^\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}/]+$/u.test(name) &&
    !/^[.\-\s]|\s$/.test(name) &&
    new TextEncoder().encode(name).length <= maximumNameBytes
  );
}

const withoutNul = z.string().regex(/^[^\0]*$/, 'holds a NUL character');
const absolutePath = withoutNul.max(4096).startsWith('/', 'is not an absolute path');
const positiveInteger = z.int().positive();

const diskDefinition = z.strictObject({
  device: z.string().regex(/^[A-Za-z0-9]{1,32}$/),
  path: absolutePath,
  readOnly: z.boolean(),
  flags: z
    .string()
    .regex(/^[a-z]{0,16}$/)
    .exactOptional(),
  serial: z
    .string()
    .regex(/^[^\p{C}\s,:]{1,64}$/u)
    .exactOptional(),
});

const guestDefinition = z.strictObject({
  name: z.string().refine(isGuestName, 'is not a guest name'),
  driver: z.enum(['uml', 'offline']),
  memoryBytes: positiveInteger.nullable(),
  cpuCount: positiveInteger.nullable(),
  kernel: absolutePath.nullable(),
  initrd: absolutePath.nullable(),
  disks: shortArray(diskDefinition, 256),
  commandLine: shortArray(withoutNul.min(1).max(65_536), 1024),
});

/**
 * Parses a definition from the wire or from a file. Throws Failure `guest-unsupported`, which says what is wrong. An
 * unknown field is refused, too: without it the guest could behave differently.
 */
export function parseGuestDefinition(json: unknown): GuestDefinition {
  const { success, data, error } = guestDefinition.safeParse(json);
  if (success) return data;
  throw new Failure('guest-unsupported', `The guest's definition is not valid: ${issuesText(error)}.`, {
    advice: 'Use the same version of vmferry on both machines.',
  });
}
