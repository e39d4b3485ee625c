import type { Document, Element } from '@xmldom/xmldom';
import { find } from './elements.ts';

/** Attributes of a new element; those that are undefined are left out. */
export type Attributes = Readonly<Record<string, string | undefined>>;

const indent = '  ';

/** Appends an element as a person would: on a line of its own. */
export function append(parent: Element, name: string, attributes: Attributes = {}, text?: string): Element {
  const element = create(parent, name, attributes, text);
  const last = parent.lastChild;
  const document = documentOf(parent);
  const margin = marginOf(parent);
  // The last text is the margin of the parent's end tag.
  if (last?.nodeType === 3 && last.textContent?.trim() === '') parent.removeChild(last);
  parent.appendChild(document.createTextNode(`\n${margin}${indent}`));
  parent.appendChild(element);
  parent.appendChild(document.createTextNode(`\n${margin}`));
  return element;
}

/** Inserts an element behind another one, which has the same parent. */
export function insertAfter(
  before: Element,
  name: string,
  attributes: Attributes = {},
  text?: string,
): Element {
  const parent = before.parentNode as Element;
  const element = create(parent, name, attributes, text);
  const next = before.nextSibling;
  const margin = documentOf(parent).createTextNode(`\n${marginOf(parent)}${indent}`);
  parent.insertBefore(margin, next);
  parent.insertBefore(element, next);
  return element;
}

/** The first child of this name; made if there is none. */
export function ensure(parent: Element, name: string): Element {
  return find(parent, name) ?? append(parent, name);
}

export function setText(element: Element, text: string): void {
  while (element.firstChild !== null) element.removeChild(element.firstChild);
  element.appendChild(documentOf(element).createTextNode(text));
}

/** Sets the text of the child of this name, or removes the child. */
export function setChildText(parent: Element, name: string, text: string | undefined): void {
  const child = find(parent, name);
  if (text !== undefined) setText(child ?? append(parent, name), text);
  else if (child !== undefined) remove(child);
}

export function setAttributes(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes))
    if (value === undefined) element.removeAttribute(name);
    else element.setAttribute(name, value);
}

/** Removes the element, and the margin before it. */
export function remove(element: Element): void {
  const { previousSibling, parentNode } = element;
  if (previousSibling?.nodeType === 3 && previousSibling.textContent?.trim() === '')
    parentNode?.removeChild(previousSibling);
  parentNode?.removeChild(element);
}

function create(parent: Element, name: string, attributes: Attributes, text?: string): Element {
  const element = documentOf(parent).createElement(name);
  setAttributes(element, attributes);
  if (text !== undefined) setText(element, text);
  return element;
}

function marginOf(element: Element): string {
  let depth = 0;
  for (let above = element.parentNode; above?.nodeType === 1; above = above.parentNode) depth++;
  return indent.repeat(depth);
}

function documentOf({ ownerDocument }: Element): Document {
  if (ownerDocument === null) throw new Error('an element has no document');
  return ownerDocument;
}
