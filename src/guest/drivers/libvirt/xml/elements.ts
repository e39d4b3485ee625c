import type { Element } from '@xmldom/xmldom';

/** The element's children, without text and comments. */
export function childrenOf(parent: Element | undefined): Element[] {
  if (parent === undefined) return [];
  return [...parent.childNodes].filter((node): node is Element => node.nodeType === 1);
}

/** The children of this name that are libvirt's own, which have no namespace. */
export function all(parent: Element | undefined, name: string): Element[] {
  return childrenOf(parent).filter((element) => element.nodeName === name);
}

/** The first element on this path of names, such as `os`, `type`. */
export function find(parent: Element | undefined, ...path: readonly string[]): Element | undefined {
  let element = parent;
  for (const name of path) element = all(element, name)[0];
  return element;
}

export function textOf(element: Element | undefined): string | undefined {
  const text = element?.textContent?.trim();
  return text === '' ? undefined : text;
}

export function attributeOf(element: Element | undefined, name: string): string | undefined {
  return element?.getAttribute(name) ?? undefined;
}

/** Where it is and what it is, for people: `line 7: <hostdev mode='subsystem' type='pci'>`. */
export function placeOf(element: Element): string {
  const attributes = [...element.attributes].map(({ name, value }) => ` ${name}='${value}'`).join('');
  const shown = `<${element.nodeName}${attributes}>`.replaceAll(/\s+/g, ' ');
  const line = element.lineNumber === undefined ? '' : `line ${element.lineNumber}: `;
  return line + (shown.length > 200 ? `${shown.slice(0, 200)}…` : shown);
}
