import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { runTool } from '../images/images.ts';
import { sha256Of } from './read-back.ts';
import { member, tarOf } from './tar-members.ts';

/** The programs that `vmdkOf` and an import of an OVA need. */
export const ovaTools = ['qemu-img', 'qemu-storage-daemon'] as const;

/** The description of a machine; nothing reads it. */
export const ovf = Buffer.from('<?xml version="1.0"?>\n<Envelope/>\n');

/** The image as it is in an OVA. */
export function vmdkOf(image: string): Buffer {
  const path = `${image}.vmdk`;
  runTool('qemu-img', ['convert', '-O', 'vmdk', '-o', 'subformat=streamOptimized', image, path]);
  const bytes = readFileSync(path);
  rmSync(path);
  return bytes;
}

/** The manifest of an OVA with these members. */
export function ovfManifest(members: readonly [name: string, sum: string][]): [string, Buffer] {
  return ['web.mf', Buffer.from(members.map(([name, sum]) => `SHA256(${name})= ${sum}\n`).join(''))];
}

/** Writes a tar of these members. */
export function writeOva(path: string, members: readonly [name: string, content: Uint8Array][]): void {
  writeFileSync(path, tarOf(...members.map(([name, content]) => member(name, content))));
}

/** Writes an OVA with the image as its only disk. */
export function makeOva(path: string, image: string): void {
  const vmdk = vmdkOf(image);
  const sums: [string, string][] = [
    ['web.ovf', sha256Of(ovf)],
    ['web-disk1.vmdk', sha256Of(vmdk)],
  ];
  writeOva(path, [['web.ovf', ovf], ovfManifest(sums), ['web-disk1.vmdk', vmdk]]);
}
