import type { DefinitionLanguage } from '../../definition-language.ts';
import type { GuestDefinition } from '../../definition.ts';
import { readDomain } from './domain/read-domain.ts';
import { updateDomain } from './domain/update-domain.ts';
import { writeDomain, type DomainType } from './domain/write-domain.ts';

/** The XML of a libvirt domain: https://libvirt.org/formatdomain.html. */
export const libvirtLanguage: DefinitionLanguage = {
  kind: 'libvirt',
  recognizes: (text) => /^\uFEFF?\s*</.test(text) && /<domain[\s>]/.test(text),
  read: (text, place) => readDomain(text.replace(/^\uFEFF/, ''), place.name),
  write: (definition) => domainXml(definition, 'kvm'),
};

/**
 * The domain of a definition. Its own XML is the base if it came from libvirt. `type`: how a guest that did not come from libvirt
 * is to be run.
 */
export function domainXml(definition: GuestDefinition, type: DomainType): string {
  return definition.driver === 'libvirt' && definition.native !== undefined
    ? updateDomain(definition.native.text, definition)
    : writeDomain(definition, type);
}
