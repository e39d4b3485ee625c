import { attributeOf } from '../xml/elements.ts';
import { parseXml } from '../xml/document.ts';
import type { DomainType } from './write-domain.ts';

/** Whether the domain is run by the processor's own virtualization. */
export function domainTypeOf(text: string): DomainType {
  return attributeOf(parseXml(text, 'the domain').root, 'type') === 'kvm' ? 'kvm' : 'qemu';
}
