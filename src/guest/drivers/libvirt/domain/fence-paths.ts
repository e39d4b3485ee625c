import type { Element } from '@xmldom/xmldom';
import { all, attributeOf, find, textOf } from '../xml/elements.ts';
import { formatXml, parseXml } from '../xml/document.ts';
import { setAttributes, setText } from '../xml/edit.ts';

/** Nothing is there, and nobody makes it by accident. */
const DIRECTORY = '/vmferry-fence';
/** Of the name of a volume in a pool. */
const PREFIX = 'vmferry-fence:';

/** Whether the domain's disks were put out of reach by `withFence`. */
export function isFenced(text: string): boolean {
  let found = false;
  if (text.includes('vmferry-fence'))
    edit(text, (path) => {
      found ||= path.startsWith(DIRECTORY) || path.startsWith(PREFIX);
      return path;
    });
  return found;
}

/** The domain with its disks, or its kernel, out of reach: libvirt refuses to start it. */
export function withFence(text: string): string {
  return edit(withoutFence(text), (path) => (path.startsWith('/') ? DIRECTORY : PREFIX) + path);
}

/** Takes back `withFence`; a domain that is not fenced stays as it is. */
export function withoutFence(text: string): string {
  if (!isFenced(text)) return text;
  return edit(text, (path) => {
    const prefix = [DIRECTORY, PREFIX].find((one) => path.startsWith(one)) ?? '';
    return path.slice(prefix.length);
  });
}

function edit(text: string, change: (path: string) => string): string {
  const xml = parseXml(text, 'the domain');
  const { root } = xml;
  for (const disk of all(find(root, 'devices'), 'disk')) {
    // Without its medium, a drive would only be empty.
    if (['cdrom', 'floppy'].includes(attributeOf(disk, 'device') ?? '')) continue;
    for (const name of ['file', 'dev', 'dir', 'volume']) editAttribute(find(disk, 'source'), name, change);
  }
  const kernel = find(root, 'os', 'kernel');
  const path = textOf(kernel);
  if (kernel !== undefined && path !== undefined) setText(kernel, change(path));
  return formatXml(xml);
}

function editAttribute(element: Element | undefined, name: string, change: (path: string) => string): void {
  const path = attributeOf(element, name);
  if (element !== undefined && path !== undefined) setAttributes(element, { [name]: change(path) });
}
