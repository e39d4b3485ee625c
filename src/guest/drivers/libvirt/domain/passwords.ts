import { attributeOf, all, find } from '../xml/elements.ts';
import { formatXml, parseXml } from '../xml/document.ts';
import { setAttributes } from '../xml/edit.ts';

/** Takes the passwords of screens out of a domain's XML: a definition is kept in files and sent to others. */
export function takeOutPasswords(text: string): { text: string; taken: readonly string[] } {
  if (!text.includes('passwd')) return { text, taken: [] };
  const xml = parseXml(text, 'the domain');
  const screens = all(find(xml.root, 'devices'), 'graphics').filter(
    (element) => attributeOf(element, 'passwd') !== undefined,
  );
  for (const element of screens) setAttributes(element, { passwd: undefined, passwdValidTo: undefined });
  const taken = screens.map(
    (element) =>
      `line ${element.lineNumber ?? 1}: the password of <graphics type='${attributeOf(element, 'type') ?? ''}'>`,
  );
  return { text: screens.length === 0 ? text : formatXml(xml), taken };
}
