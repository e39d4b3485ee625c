import { all, find, textOf } from '../xml/elements.ts';
import { formatXml, parseXml } from '../xml/document.ts';
import { remove } from '../xml/edit.ts';

export function emulatorOf(text: string): string | undefined {
  return textOf(find(parseXml(text, 'the domain').root, 'devices', 'emulator'));
}

/** The domain without a path of QEMU that this machine does not have: libvirt then chooses its own. Null when nothing changes. */
export function withoutEmulator(text: string, isProgram: (path: string) => boolean): string | null {
  const xml = parseXml(text, 'the domain');
  const missing = all(find(xml.root, 'devices'), 'emulator').filter(
    (element) => !isProgram(textOf(element) ?? ''),
  );
  for (const element of missing) remove(element);
  return missing.length === 0 ? null : formatXml(xml);
}
