import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { makeSparseFile, runTool } from '../support/images/images.ts';
import { buildGuestImage, readGuestFile, type GuestImage } from '../support/guests/uml-guest.ts';

const sizeBytes = 512 * 2 ** 20;
const randomBytes = 8 * 2 ** 20;

/** A disk with a bootable system, compressible and incompressible data, and deleted data. */
export async function buildBootableDisk(path: string): Promise<GuestImage> {
  const image = await buildGuestImage({ path, sizeBytes, dataBytes: randomBytes });
  return { path, files: [...image.files, addProgram(path)] };
}

/** The same without a system, for a machine without a hypervisor. */
export async function buildDataDisk(path: string): Promise<GuestImage> {
  makeSparseFile(path, sizeBytes);
  const tree = await mkdtemp(join(tmpdir(), 'vmferry-demo-tree-'));
  try {
    await writeFile(join(tree, 'notes'), 'The quick brown fox jumps over the lazy dog.\n'.repeat(20_000));
    runTool('mke2fs', ['-qF', '-t', 'ext3', '-d', tree, path]);
  } finally {
    await rm(tree, { recursive: true });
  }
  runTool('debugfs', ['-w', '-R', 'mkdir /data', path]);
  return { path, files: [addProgram(path)] };
}

/** Two copies of Node, one of them deleted: as large and compressible as a guest's files. */
function addProgram(image: string): GuestImage['files'][number] {
  const program = process.execPath;
  const commands = [`write ${program} /data/program`, `write ${program} /data/old`, 'rm /data/old', 'quit'];
  runTool('debugfs', ['-w', '-f', '-', image], `${commands.join('\n')}\n`);
  return { path: '/data/program', sha256: sha256(readFileSync(program)) };
}

/** The SHA-256 of a file in a disk that no guest uses. */
export async function checksumOnDisk(disk: string, path: string): Promise<string> {
  return sha256(await readGuestFile(disk, path));
}

function sha256(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
