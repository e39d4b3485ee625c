import { all, attributeOf, find } from '../xml/elements.ts';
import { formatXml, parseXml } from '../xml/document.ts';
import { append, remove } from '../xml/edit.ts';

/**
 * The domain with its console appended to the file as well: the first serial line's, else that of virtio's console. The text is as
 * libvirt prints it. A domain without any such console stays as it is.
 */
export function withConsoleLog(text: string, file: string): string {
  const xml = parseXml(text, 'the domain');
  const devices = find(xml.root, 'devices');
  const serial = all(devices, 'serial')[0];
  // The console that belongs to a serial line is the same device, and its log must be the same.
  const consoles = all(devices, 'console').slice(0, 1);
  for (const element of serial === undefined ? consoles : [serial, ...consoles]) {
    const old = find(element, 'log');
    if (old !== undefined) remove(old);
    append(element, 'log', { file, append: 'on' });
  }
  return formatXml(xml);
}

/** The file that the domain's first console is logged to. */
export function consoleLogOf(text: string): string | undefined {
  const devices = find(parseXml(text, 'the domain').root, 'devices');
  const [console] = [...all(devices, 'serial'), ...all(devices, 'console')];
  return attributeOf(find(console, 'log'), 'file');
}
