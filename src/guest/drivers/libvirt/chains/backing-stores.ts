import type { Element } from '@xmldom/xmldom';
import { realpathSync } from 'node:fs';
import { Failure } from '../../../../failure.ts';
import { backingFilesOf } from '../../../../image/formats/view/image-files.ts';
import { shellLine } from '../../../../quote-for-shell.ts';
import type { DiskDefinition } from '../../../definition.ts';
import { parseXml } from '../xml/document.ts';
import { all, attributeOf, find } from '../xml/elements.ts';

/**
 * Failures for disks that the guest sees over other images than their headers name: QEMU believes `<backingStore>`, and vmferry reads
 * what the headers say. libvirt writes it after a snapshot, and then the two agree.
 */
export function findOtherBacking(text: string, guest: string, disks: readonly DiskDefinition[]): Failure[] {
  if (!text.includes('<backingStore')) return [];
  const { root } = parseXml(text, `the domain ${guest}`);
  return all(find(root, 'devices'), 'disk').flatMap((element) => {
    const device = attributeOf(find(element, 'target'), 'dev');
    const disk = disks.find((one) => one.device === device);
    if (disk === undefined) return [];
    const stated = statedChain(element);
    const below = backingFilesOf(disk);
    // Without any, the image has none or cannot be opened; opening it says why.
    if (below.length === 0 && stated.paths.length > 0) return [];
    const isSame =
      stated.paths.every((path, index) => resolved(path) === below[index]) &&
      (!stated.isWhole || stated.paths.length === below.length);
    return isSame ? [] : [otherBacking(guest, disk, stated.paths[0])];
  });
}

/** What the definition says is below the disk; whole if it says where that ends. */
function statedChain(disk: Element): { paths: string[]; isWhole: boolean } {
  const paths: string[] = [];
  for (let at = find(disk, 'backingStore'); at !== undefined; at = find(at, 'backingStore')) {
    const source = find(at, 'source');
    const path = attributeOf(source, 'file') ?? attributeOf(source, 'dev');
    if (path === undefined) return { paths, isWhole: source === undefined };
    paths.push(path);
  }
  return { paths, isWhole: false };
}

function resolved(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function otherBacking(guest: string, { device, path }: DiskDefinition, stated: string | undefined): Failure {
  const said = stated === undefined ? 'that there is none' : stated;
  return new Failure(
    'guest-unsupported',
    `The definition of ${guest} names another backing file for the disk ${device} than the image itself (${said}).`,
    {
      advice: `Compare them with \`${shellLine(['qemu-img', 'info', '--backing-chain', path])}\`. If the image is right, take <backingStore> out of the definition: ${shellLine(['virsh', 'edit', guest])}`,
    },
  );
}
