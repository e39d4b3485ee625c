import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { checksumsText } from '../../../src/archive/checksums.ts';
import { MANIFEST_NAME, manifestText, parseManifest, type Manifest } from '../../../src/archive/manifest.ts';
import { runTool } from '../images/images.ts';
import { sha256Of } from './read-back.ts';
import { member, tarOf } from './tar-members.ts';

/** Writes an archive with the disks of another one, and with its manifest as `edit` returns it; without fingerprints, uncompressed. */
export function withManifest(archive: string, to: string, edit: (manifest: Manifest) => Manifest): void {
  const directory = mkdtempSync(join(dirname(to), 'unpacked-'));
  runTool('tar', ['--zstd', '-xf', archive, '-C', directory]);
  const read = (name: string) => readFileSync(join(directory, name));
  const { fingerprints: _, ...manifest } = edit(parseManifest(read(MANIFEST_NAME).toString()));
  const members: [string, Buffer][] = [
    [MANIFEST_NAME, Buffer.from(manifestText(manifest))],
    ...manifest.disks.map(({ name }): [string, Buffer] => [name, read(name)]),
  ];
  rmSync(directory, { recursive: true });
  const sums = checksumsText(new Map(members.map(([name, content]) => [name, sha256Of(content)])));
  const all = [...members, ['SHA256SUMS', Buffer.from(sums)] as const];
  writeFileSync(to, tarOf(...all.map(([name, content]) => member(name, content))));
}
