import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { succeed } from '../base/command.ts';

/** A package with a kernel and its modules. */
export interface LinuxPackage {
  /** `linux-image-6.1.0-57-amd64` */
  name: string;
  /** Of the package: `6.1.192-3`. */
  packageVersion: string;
}

/** The newest that apt knows here. An administrator's apt that knows none is told to fetch its lists. */
export async function newestLinuxPackage(): Promise<LinuxPackage> {
  const known = await lookUp();
  if (known !== null) return known;
  await fetchLists();
  const fetched = await lookUp();
  if (fetched === null) throw new Error('apt knows no package linux-image-amd64');
  return fetched;
}

async function lookUp(): Promise<LinuxPackage | null> {
  const text = await succeed('apt-cache', ['show', '--no-all-versions', 'linux-image-amd64']).catch(() => '');
  const [, name, packageVersion] = /^Depends: (linux-image-[\w.+-]+) \(= ([^)]+)\)/m.exec(text) ?? [];
  return name === undefined || packageVersion === undefined ? null : { name, packageVersion };
}

async function fetchLists(): Promise<void> {
  if (process.getuid?.() === 0) await succeed('apt-get', ['-q', 'update']);
}

/** Downloads the package and unpacks it into the directory, without installing anything. */
export async function unpackLinuxPackage(
  { name, packageVersion }: LinuxPackage,
  directory: string,
): Promise<void> {
  const download = () =>
    succeed('env', ['-C', directory, 'apt-get', '-q', 'download', `${name}=${packageVersion}`]);
  // Old lists name files that the mirror no longer has.
  await download().catch(async () => {
    await fetchLists();
    await download();
  });
  const archive = (await readdir(directory)).find((file) => file.endsWith('.deb')) ?? '';
  await succeed('dpkg-deb', ['-x', join(directory, archive), directory]);
}
