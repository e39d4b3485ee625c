import { attributeOf, all, childrenOf, find, placeOf, textOf } from '../xml/elements.ts';
import { parseXml } from '../xml/document.ts';
import { findBeyond } from './beyond.ts';

/** What in a domain's XML may start programs of this machine, write its files or take its devices, each with its line. */
export function findReaching(text: string): string[] {
  const { root } = parseXml(text, 'the domain');
  const devices = find(root, 'devices');
  const emulators = all(devices, 'emulator').filter(
    (element) =>
      !/^\/usr\/(?:local\/)?(?:s?bin|libexec|lib\/xen-\d[\d.]*\/bin)\/(?:qemu-[\w-]+|kvm)$/.test(
        textOf(element) ?? '',
      ),
  );
  const logs = childrenOf(devices).filter((device) => find(device, 'log') !== undefined);
  const sounds = all(devices, 'audio').filter((element) => attributeOf(element, 'type') === 'file');
  const sources = ['rng', 'serial', 'console', 'memballoon', 'input', 'video'].flatMap((name) =>
    all(devices, name).filter((element) =>
      /\/(?!dev\/u?random\b)/.test(
        find(element, 'backend')?.textContent ?? attributeOf(find(element, 'source'), 'path') ?? '',
      ),
    ),
  );
  return [...findBeyond(root), ...[...emulators, ...logs, ...sounds, ...sources].map(placeOf)];
}
