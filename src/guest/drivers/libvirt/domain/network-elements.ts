import type { Element } from '@xmldom/xmldom';
import type { NetworkCard } from '../../../definition.ts';
import { find } from '../xml/elements.ts';
import { append, ensure, remove, setAttributes } from '../xml/edit.ts';
import { libvirtModel } from './read-network-cards.ts';

export function addNetworkCard(devices: Element, card: NetworkCard): void {
  const element = append(devices, 'interface');
  if (card.mac !== undefined) append(element, 'mac', { address: card.mac });
  attach(element, card.attachedTo);
  if (card.model !== undefined) append(element, 'model', { type: libvirtModel(card.model) });
}

/** Makes the element say what the definition says; what else it says stays. */
export function updateNetworkCard(element: Element, before: NetworkCard, after: NetworkCard): void {
  if (after.mac !== before.mac && after.mac !== undefined)
    setAttributes(ensure(element, 'mac'), { address: after.mac });
  if (after.model !== before.model && after.model !== undefined)
    setAttributes(ensure(element, 'model'), { type: libvirtModel(after.model) });
  if (JSON.stringify(after.attachedTo) !== JSON.stringify(before.attachedTo)) {
    const source = find(element, 'source');
    if (source !== undefined) remove(source);
    // The name that the old way gave to the card's other end.
    const target = find(element, 'target');
    if (target !== undefined) remove(target);
    attach(element, after.attachedTo);
  }
}

/** A way that only another hypervisor knows becomes no connection: the card is there, and its cable is not. */
function attach(element: Element, attachedTo: NetworkCard['attachedTo']): void {
  switch (attachedTo.kind) {
    case 'bridge':
      setAttributes(element, { type: 'bridge' });
      append(element, 'source', { bridge: attachedTo.name });
      break;
    case 'network':
      setAttributes(element, { type: 'network' });
      append(element, 'source', { network: attachedTo.name });
      break;
    case 'tap':
      setAttributes(element, { type: 'ethernet' });
      append(element, 'target', { dev: attachedTo.name, managed: 'no' });
      break;
    case 'user':
      setAttributes(element, { type: 'user' });
      break;
    case 'other':
      setAttributes(element, { type: 'user' });
      setAttributes(ensure(element, 'link'), { state: 'down' });
      break;
  }
}
