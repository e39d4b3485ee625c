import { existsSync } from 'node:fs';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { parseAttachedTo, type ConversionChoices } from '../../guest/conversion/choices.ts';
import { convertDefinition } from '../../guest/conversion/convert.ts';
import type { DefinitionLanguage, HypervisorKind } from '../../guest/definition-language.ts';
import type { DriverKind } from '../../guest/definition.ts';
import type { GuestSources } from '../../guest/known-definitions.ts';
import { findGuest, notFound } from '../../guest/resolve-guest.ts';
import { wantsGuestKernel } from '../migrate/conversion/guest-kernel-choice.ts';
import { GUEST_KERNEL } from '../migrate/conversion/guest-there.ts';
import { readDefinitionFile } from './read-definition-file.ts';

export interface ConvertRequest {
  /** A guest's name, or the path of a file that describes one. */
  guest: string;
  to: HypervisorKind;
  /** The language of the file; null to tell it by its content. */
  from: HypervisorKind | null;
  /** By the names that `findDisk` knows. */
  disks: readonly { name: string; path: string }[];
  kernel: string | null;
  initrd: string | null;
  /** `eth0` or a MAC, and what `parseAttachedTo` reads. */
  networks: readonly { card: string; attachedTo: string }[];
}

export type ConvertDependencies = GuestSources & {
  loadLanguages: () => Promise<readonly DefinitionLanguage[]>;
};

export interface ConvertReport {
  type: 'converted';
  guest: string;
  from: DriverKind;
  to: DriverKind;
  /** The guest in the language of `to`. */
  text: string;
  changes: readonly string[];
  losses: readonly string[];
  /** The neutral definition: doc/definition.md. */
  definition: unknown;
}

/**
 * What a guest would become under another hypervisor. Changes nothing. Throws Failure `guest-not-found`, `guest-unsupported` for
 * a definition that is not understood, with all places, and `usage` for a choice that does not fit.
 */
export async function convertGuest(
  request: ConvertRequest,
  dependencies: ConvertDependencies,
  context: Context,
): Promise<ConvertReport> {
  const { guest, to, from } = request;
  if (request.kernel === GUEST_KERNEL)
    throw new Failure(
      'usage',
      'vmferry convert takes nothing out of a disk, so it has no file for --kernel guest.',
      {
        advice:
          'See what a move would do: vmferry migrate GUEST --to HOST --kernel guest --dry-run. Or name a file: --kernel FILE, for a file of that name --kernel ./guest.',
      },
    );
  const languages = await dependencies.loadLanguages();
  const known = guest.includes('/') ? null : await findGuest(guest, dependencies, context);
  const isFile = guest.includes('/') || existsSync(guest);
  if (known === null && !isFile) throw await notFound(guest, dependencies, context);
  const before = known?.definition ?? (await readDefinitionFile(guest, from, languages));
  const { definition, changes, losses } = convertDefinition(before, {
    driver: to,
    choices: {
      ...choicesOf(request),
      // The disk may not be here.
      ...(wantsGuestKernel(before, { ...request, as: to }) === null
        ? {}
        : { guestKernel: 'not-taken' as const }),
    },
  });
  const language = languages.find(({ kind }) => kind === to);
  if (language === undefined)
    throw new Failure('hypervisor-missing', `This vmferry cannot write the language of ${to}.`);
  const text = language.write(definition);
  return {
    type: 'converted',
    guest: before.name,
    from: before.driver,
    to,
    text,
    changes,
    losses,
    definition,
  };
}

function choicesOf({ disks, kernel, initrd, networks }: ConvertRequest): ConversionChoices {
  return {
    disks: new Map(disks.map(({ name, path }) => [name, { path }])),
    networks: new Map(networks.map(({ card, attachedTo }) => [card, parseAttachedTo(attachedTo)])),
    ...(kernel === null ? {} : { kernel }),
    ...(initrd === null ? {} : { initrd }),
  };
}
