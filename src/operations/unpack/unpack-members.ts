import { createHash } from 'node:crypto';
import { CHECKSUMS_NAME, LONGEST_CHECKSUMS_BYTES, parseChecksums } from '../../archive/checksums.ts';
import {
  FINGERPRINTS_NAME,
  LONGEST_FINGERPRINTS_BYTES,
  parseFingerprints,
} from '../../archive/fingerprints.ts';
import {
  LONGEST_MANIFEST_BYTES,
  MANIFEST_NAME,
  parseManifest,
  type Manifest,
} from '../../archive/manifest.ts';
import type { ReadMember } from '../../archive/read-archive.ts';
import { damagedArchive } from '../../codec/damaged-archive.ts';
import type { UnpackedDisks } from './unpacked-disks.ts';
import type { BeforeDisk, UnpackedMembers } from './unpacked.ts';
import { isDirectory, severalDisks } from './disk-target.ts';

/** What an archive says of itself, as far as it was read. */
interface Stated {
  manifest: Manifest | null;
  fingerprints: Map<string, string> | null;
  checksums: Map<string, string> | null;
}

/**
 * Writes the disks of an archive. Throws Failure `archive-damaged` unless they are what manifest, fingerprints and checksums say, as far as
 * it has these, and what `beforeDisk` throws. With fingerprints the SHA-256 of whole disks is not computed: it would take longer than everything else.
 */
export async function unpackMembers(
  members: AsyncIterable<ReadMember>,
  disks: UnpackedDisks,
  beforeDisk: BeforeDisk,
  to: string,
): Promise<UnpackedMembers> {
  const toOneFile = !(await isDirectory(to));
  const stated: Stated = { manifest: null, fingerprints: null, checksums: null };
  /** Of each member; null: not computed. */
  const sums = new Map<string, string | null>();
  for await (const member of members) {
    const { name } = member;
    const content = async (mostBytes: number) => {
      const bytes = await smallContent(member, mostBytes);
      sums.set(name, createHash('sha256').update(bytes).digest('hex'));
      return bytes.toString('utf8');
    };
    if (stated.checksums !== null) throw damagedArchive(`holds ${name} behind its checksums`);
    if (name === MANIFEST_NAME) {
      if (sums.size > 0) throw damagedArchive(`has its ${MANIFEST_NAME} behind something else`);
      stated.manifest = parseManifest(await content(LONGEST_MANIFEST_BYTES));
      if (toOneFile && stated.manifest.disks.length > 1) throw severalDisks(to);
      await disks.requireRoom(stated.manifest.disks);
    } else if (name === CHECKSUMS_NAME) {
      stated.checksums = parseChecksums((await smallContent(member, LONGEST_CHECKSUMS_BYTES)).toString());
    } else if (name === stated.manifest?.fingerprints) {
      stated.fingerprints = parseFingerprints(await content(LONGEST_FINGERPRINTS_BYTES));
    } else {
      requireStated(member, stated);
      if (toOneFile && disks.reports.length > 0) throw severalDisks(to);
      await beforeDisk(stated.manifest, name);
      const hashes = stated.manifest?.fingerprints === undefined;
      await disks.add({ ...member, data: member.data(), hashes });
      sums.set(name, disks.reports.at(-1)?.sha256 ?? null);
    }
  }
  if (disks.reports.length === 0) throw damagedArchive('holds no disk');
  requireAll(stated, disks, sums);
  const checked = stated.checksums === null ? null : 'sha256sums';
  return {
    manifest: stated.manifest,
    checked: stated.fingerprints === null ? checked : 'fingerprints',
  };
}

async function smallContent({ name, sizeBytes, data }: ReadMember, mostBytes: number): Promise<Buffer> {
  if (sizeBytes > mostBytes) throw damagedArchive(`has a ${name} of ${sizeBytes} bytes`);
  const content = Buffer.alloc(sizeBytes);
  for await (const { offset, bytes } of data()) content.set(bytes, offset);
  return content;
}

function requireStated({ name, sizeBytes }: ReadMember, { manifest, fingerprints }: Stated): void {
  if (fingerprints !== null) throw damagedArchive(`holds ${name} behind its ${FINGERPRINTS_NAME}`);
  if (manifest === null) return;
  const stated = manifest.disks.find((disk) => disk.name === name);
  if (stated === undefined) throw damagedArchive(`holds ${name}, which its manifest does not name`);
  if (stated.sizeBytes !== sizeBytes)
    throw damagedArchive(
      `holds ${name} with ${sizeBytes} bytes, and its manifest states ${stated.sizeBytes}`,
    );
}

/** Nothing is missing, and everything matches. */
function requireAll(
  { manifest, fingerprints, checksums }: Stated,
  disks: UnpackedDisks,
  sums: ReadonlyMap<string, string | null>,
): void {
  const missing = manifest?.disks.find(({ name }) => !sums.has(name));
  if (missing !== undefined) throw damagedArchive(`lacks ${missing.name}, which its manifest names`);
  const lacked = manifest?.fingerprints !== undefined && fingerprints === null;
  if (lacked) throw damagedArchive(`lacks ${FINGERPRINTS_NAME}, which its manifest names`);
  if (manifest !== null && checksums === null)
    throw damagedArchive(`has a manifest, but no ${CHECKSUMS_NAME}`);
  if (fingerprints !== null) requireFingerprints(fingerprints, disks);
  if (checksums !== null) requireSums(checksums, sums);
}

function requireFingerprints(fingerprints: ReadonlyMap<string, string>, { reports }: UnpackedDisks): void {
  for (const { name, fingerprint } of reports) {
    const stated = fingerprints.get(name);
    if (stated === undefined) throw damagedArchive(`has no fingerprint of ${name}`);
    if (stated !== fingerprint) throw damagedArchive(`holds a ${name} that does not match its fingerprint`);
  }
}

/** Every file of the archive has its checksum, and no other is listed. */
function requireSums(checksums: ReadonlyMap<string, string>, sums: ReadonlyMap<string, string | null>): void {
  for (const [name, sum] of sums) {
    const stated = checksums.get(name);
    if (stated === undefined) throw damagedArchive(`has no checksum of ${name}`);
    if (sum !== null && stated !== sum)
      throw damagedArchive(`holds a ${name} that does not match its checksum`);
  }
  const other = [...checksums.keys()].find((name) => !sums.has(name));
  if (other !== undefined)
    throw damagedArchive(`has a checksum of ${JSON.stringify(other)}, but not the file`);
}
