import { createHash } from 'node:crypto';
import type { ReadMember } from '../../archive/read-archive.ts';
import { damagedArchive } from '../../codec/damaged-archive.ts';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { vmdkMagic } from '../../image/formats/containers/vmdk.ts';
import { readExactlyInto } from '../../image/formats/raw/read-exactly.ts';
import { openImage } from '../../image/open-image.ts';
import type { ImageSource } from '../../image/source/image-source.ts';
import type { PlacedBytes } from '../../transfer/disk-import.ts';
import type { UnpackedDisks } from './unpacked-disks.ts';
import type { BeforeDisk, UnpackedMembers } from './unpacked.ts';
import { isDirectory, severalDisks } from './disk-target.ts';
import { keptFile } from './kept-file.ts';

/*
 * An OVA: a tar whose first member is an OVF, the description of a machine, then perhaps a manifest with checksums, then the disks
 * (DMTF DSP0243, "OVF package"). The description is not read: it names no kernel, and not what the guest is attached to.
 */

const LONGEST_TEXT_BYTES = 4 * 2 ** 20;
const PIECE_BYTES = 2 ** 20;

export function isOvf(name: string): boolean {
  return /\.ovf$/i.test(name);
}

/** The checksums of a member, in hexadecimal. */
interface Sums {
  SHA1: string;
  SHA256: string;
}

/**
 * Writes the disks of an OVA. A disk's file is kept beside the target meanwhile: QEMU reads it, and needs all of it. Throws Failure
 * `archive-damaged` where the manifest does not match, `image-unsupported` for a disk that is no VMDK, and as `unpackMembers`.
 */
export async function unpackOva(
  members: AsyncIterable<ReadMember>,
  disks: UnpackedDisks,
  beforeDisk: BeforeDisk,
  to: string,
  { report, signal }: Context,
): Promise<UnpackedMembers> {
  const toOneFile = !(await isDirectory(to));
  const sums = new Map<string, Sums>();
  let manifest: string | null = null;
  for await (const member of members) {
    const { name } = member;
    if (/\.(ovf|mf)$/i.test(name)) {
      const { content, ...own } = await textOf(member);
      if (/\.mf$/i.test(name)) manifest = content;
      else sums.set(name, own);
      continue;
    }
    const isDisk = /\.vmdk$/i.test(name);
    if (isDisk && toOneFile && disks.reports.length > 0) throw severalDisks(to);
    if (!isDisk) {
      if (looksLikeDisk.test(name)) throw notVmdk(name);
      const message = `${name} of the archive is left out: only its disks (.vmdk) are read.`;
      report({ type: 'notice', message });
      sums.set(name, await sumsOf(member));
      continue;
    }
    await using file = await keptFile(to, name, member.sizeBytes);
    sums.set(name, await sumsOf(member, (bytes, offset) => file.write(bytes, offset)));
    requireVmdk(name, file.head());
    await using source = await openImage(file.path, { format: 'vmdk' });
    const diskName = `${name.slice(0, -'.vmdk'.length)}.img`;
    await beforeDisk(null, diskName);
    const { sizeBytes } = source;
    const dataBytes = sumOf(source.dataExtents());
    await disks.add({ name: diskName, sizeBytes, dataBytes, data: bytesOf(source, signal), hashes: true });
  }
  if (disks.reports.length === 0) throw damagedArchive('holds no disk');
  if (manifest !== null) requireManifest(manifest, sums);
  return { manifest: null, checked: manifest === null ? null : 'ovf-manifest' };
}

async function textOf(member: ReadMember): Promise<Sums & { content: string }> {
  const { name, sizeBytes } = member;
  if (sizeBytes > LONGEST_TEXT_BYTES) throw damagedArchive(`has a ${name} of ${sizeBytes} bytes`);
  const content = Buffer.alloc(sizeBytes);
  const sums = await sumsOf(member, (bytes, offset) => content.set(bytes, offset));
  return { ...sums, content: content.toString('utf8') };
}

async function sumsOf(
  { data, sizeBytes, dataBytes, name }: ReadMember,
  keep: (bytes: Uint8Array, offset: number) => void | Promise<void> = () => undefined,
): Promise<Sums> {
  // A checksum is of the whole file, and no OVA has a sparse one.
  if (sizeBytes !== dataBytes) throw damagedArchive(`holds ${name} as a sparse file, which no OVA does`);
  const [sha1, sha256] = [createHash('sha1'), createHash('sha256')];
  for await (const { bytes, offset } of data()) {
    for (const hash of [sha1, sha256]) hash.update(bytes);
    await keep(bytes, offset);
  }
  return { SHA1: sha1.digest('hex'), SHA256: sha256.digest('hex') };
}

/** A disk in a form that is not read: it must not be left behind in silence. */
const looksLikeDisk = /\.(?:vmdk\.\w+|vhdx?|vdi|qcow2?|img|raw)$/i;

function requireVmdk(name: string, head: Buffer): void {
  if (head.toString('hex').startsWith(vmdkMagic)) return;
  throw notVmdk(name);
}

function notVmdk(name: string): Failure {
  return new Failure('image-unsupported', `${name} of the archive is no disk of the format VMDK.`, {
    advice: 'Unpack the archive with tar, and convert the disk with its own program.',
  });
}

async function* bytesOf(source: ImageSource, signal: AbortSignal): PlacedBytes {
  const memory = Buffer.allocUnsafeSlow(PIECE_BYTES);
  for (const { offset, length } of source.dataExtents())
    for (let at = offset; at < offset + length; at += PIECE_BYTES) {
      signal.throwIfAborted();
      const piece = memory.subarray(0, Math.min(PIECE_BYTES, offset + length - at));
      yield { offset: at, bytes: readExactlyInto(piece, source.path, source.fd, at) };
    }
}

function sumOf(extents: Iterable<{ length: number }>): number {
  let sum = 0;
  for (const { length } of extents) sum += length;
  return sum;
}

/** Lines such as `SHA256(disk.vmdk)= 0123…`. */
function requireManifest(text: string, sums: ReadonlyMap<string, Sums>): void {
  const named = new Set<string>();
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    const [, kind = '', name = '', sum = ''] =
      /^(SHA1|SHA256) ?\((.+)\) ?= ?([0-9a-f]+)\s*$/i.exec(line) ?? [];
    const found = sums.get(name.replace(/^(\.\/)+/, ''));
    if (name === '') throw damagedArchive('has a manifest with a line that is not valid');
    if (found === undefined)
      throw damagedArchive(`has a checksum of ${JSON.stringify(name)}, but not the file`);
    if (found[kind.toUpperCase() as keyof Sums] !== sum.toLowerCase())
      throw damagedArchive(`holds a ${name} that does not match its checksum`);
    named.add(name.replace(/^(\.\/)+/, ''));
  }
  const other = [...sums.keys()].find((name) => !named.has(name));
  if (other !== undefined) throw damagedArchive(`has no checksum of ${other}`);
}
