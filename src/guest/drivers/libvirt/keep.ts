import type { Context } from '../../../events.ts';
import { Failure } from '../../../failure.ts';
import type { GuestDefinition } from '../../definition.ts';
import { readDomain } from './domain/read-domain.ts';
import type { DomainType } from './domain/write-domain.ts';
import { domainInfo, type DomainInfo } from './domains.ts';
import { findKeptDomain } from './find.ts';
import { hasEmulatedTpm } from './checks/tpm.ts';
import { domainXml } from './language.ts';
import { isSameGuest, startsTheSame } from './domain/same-guest.ts';
import type { Answer, Virsh } from './virsh.ts';
import { formatXml, parseXml } from './xml/document.ts';
import { remove } from './xml/edit.ts';
import { all, find } from './xml/elements.ts';

/** What `defineDomain` did, and how it is undone. */
export interface Defined {
  uuid: string;
  /** Forgets a domain that was not known before. Does nothing for one that was. */
  undo(): Promise<void>;
}

/**
 * Makes libvirt know the guest as the definition says; a new one starts with the machine if it says so. A domain that says the same already stays as it is. Throws Failure
 * `target-exists` if another guest has the name, `guest-already-running`, and `guest-unsupported` for what libvirt refuses.
 * @param type how a guest that does not come from libvirt is run
 */
export async function defineDomain(
  definition: GuestDefinition,
  type: DomainType,
  virsh: Virsh,
  context: Context,
): Promise<Defined> {
  const { name } = definition;
  const options = { signal: context.signal };
  const info = await domainInfo(virsh, name, options);
  if (info !== null && info.id !== null) throw alreadyRunning(name);
  const known = info === null ? null : await findKeptDomain(virsh, info.uuid, options);
  if (info !== null && (known === null || !isSameGuest(known.definition, definition))) throw taken(name);
  const wanted = known === null ? definition : basedOn(known.definition, definition);
  const xml = withoutBackingStores(domainXml(wanted, type));
  const isFenced = known?.unsupported?.code === 'guest-fenced';
  if (known !== null && !isFenced && startsTheSame(known.definition, readDomain(xml, name).definition))
    return { uuid: known.definition.uuid ?? '', undo: () => Promise.resolve() };
  await define(xml, name, virsh, context);
  const defined = await domainInfo(virsh, name, options);
  if (defined === null)
    throw new Failure('guest-unsupported', `libvirt forgot ${name} as soon as it was defined.`);
  if (known === null && definition.autostart === true) await setAutostart(defined, true, virsh);
  const undo = async () => {
    if (known !== null) return;
    const { ok, problem } = await forgetDomain(defined.uuid, xml, virsh);
    if (ok) return;
    // It stays without its disks, perhaps, and must not come up by itself.
    const { ok: isOff } = await virsh.ask(['autostart', `--domain=${defined.uuid}`, '--disable']);
    const message = `libvirt does not forget ${name}, which did not start: ${problem}. ${isOff ? 'It does not start with the machine.' : 'It may start with the machine.'}`;
    context.report({ type: 'warning', code: 'clean-up-incomplete', message });
  };
  return { uuid: defined.uuid, undo };
}

/** What libvirt chose for the guest before, such as its UUID and the addresses of its cards, stays. */
function basedOn(known: GuestDefinition, definition: GuestDefinition): GuestDefinition {
  const uuid = definition.uuid ?? known.uuid;
  const native = definition.native ?? known.native;
  return {
    ...definition,
    ...(uuid === undefined ? {} : { uuid }),
    ...(native === undefined ? {} : { native }),
  };
}

/**
 * `<backingStore>` names the images below a disk on the machine that the definition comes from. A copy has none, even at the same path
 * and in the same format; below any other image, libvirt finds them by itself.
 */
function withoutBackingStores(text: string): string {
  if (!text.includes('<backingStore')) return text;
  const xml = parseXml(text, 'the domain');
  for (const disk of all(find(xml.root, 'devices'), 'disk')) {
    const backingStore = find(disk, 'backingStore');
    if (backingStore !== undefined) remove(backingStore);
  }
  return formatXml(xml);
}

/** Checked against libvirt's schema first: what libvirt does not know, it would drop without a word. */
export async function define(xml: string, name: string, virsh: Virsh, context: Context): Promise<void> {
  const strict = await virsh.askWithXml(xml, (file) => ['define', file, '--validate']);
  if (strict.ok) return;
  const loose =
    strict.problem.includes('failed to validate') || strict.problem.includes('schema')
      ? await virsh.askWithXml(xml, (file) => ['define', file])
      : strict;
  if (!loose.ok)
    throw new Failure('guest-unsupported', `libvirt refuses the definition of ${name}: ${loose.problem}.`);
  const message = `This libvirt does not know all that the definition of ${name} says: ${strict.problem}.`;
  context.report({ type: 'warning', code: 'other', message });
}

/** Has libvirt forget a domain that does not run. What is not on the guest's disks stays, too. `xml`: its definition. */
function forgetDomain(uuid: string, xml: string, virsh: Virsh): Promise<Answer> {
  // Versions of virsh before 8.9 do not know this word, which few guests need. Without it, libvirt deletes the state.
  const keepTpm = hasEmulatedTpm(xml) ? ['--keep-tpm'] : [];
  return virsh.ask(['undefine', `--domain=${uuid}`, '--keep-nvram', ...keepTpm]);
}

export async function dropDomain({ name, uuid, native }: GuestDefinition, virsh: Virsh): Promise<void> {
  const info = await domainInfo(virsh, uuid ?? name);
  if (info === null || info.name !== name || !info.isPersistent) return;
  if (info.id !== null) throw alreadyRunning(name);
  const { ok, problem } = await forgetDomain(info.uuid, native?.text ?? '', virsh);
  if (!ok) throw new Failure('guest-unsupported', `libvirt does not forget ${name}: ${problem}.`);
}

export async function setAutostart(
  definition: Pick<GuestDefinition, 'name' | 'uuid'>,
  isOn: boolean,
  virsh: Virsh,
): Promise<void> {
  const { name, uuid } = definition;
  const args = ['autostart', `--domain=${uuid ?? name}`, ...(isOn ? [] : ['--disable'])];
  await virsh.tell(args, `Whether ${name} starts with the machine cannot be set`, 'guest-unsupported');
}

/** The domain of the definition. Throws Failure `guest-not-found`. */
export async function requireKnown({ name, uuid }: GuestDefinition, virsh: Virsh): Promise<DomainInfo> {
  const info = await domainInfo(virsh, uuid ?? name);
  if (info !== null) return info;
  throw new Failure('guest-not-found', `libvirt does not know ${name}.`);
}

export function alreadyRunning(name: string): Failure {
  return new Failure('guest-already-running', `A guest named ${name} runs here already.`, {
    advice: `Halt that one, with \`vmferry halt ${name}\`, or rename it: virsh domrename.`,
  });
}

export function taken(name: string): Failure {
  return new Failure('target-exists', `libvirt knows another guest named ${name}.`, {
    advice: `Look at it with \`virsh dumpxml ${name}\`. Rename it with \`virsh domrename\`, or forget it with \`virsh undefine\`.`,
  });
}
