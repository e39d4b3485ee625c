import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const directory = new URL('../../../fixtures/definitions/xen/', import.meta.url);

/** What `xl create -n` of Xen 4.17 prints for a file, less what no test looks at. */
export interface XlAnswer {
  name: string;
  type: 'pv' | 'pvh' | 'hvm';
  /** MiB; 0 if the file does not say. */
  memory: number;
  vcpus: number | null;
  kernel?: string;
  ramdisk?: string;
  cmdline?: string;
  bootloader?: string;
  disks: { pdev_path?: string; vdev: string; format: string; readwrite?: 1; is_cdrom?: 1 }[];
  nics: { mac?: string; bridge?: string; script?: string; model?: string }[];
}

export interface XenFixtures {
  /** Files that xl takes as they are meant. */
  accepted: Record<string, XlAnswer>;
  /** Files that xl refuses, with the line that is wrong; null where it is the whole file. */
  refused: Record<string, number | null>;
  /** Files of which xl drops a part without an error, with the line of it. */
  lossy: Record<string, number | null>;
}

export const xenFixtureDirectory = fileURLToPath(directory);

export function xenFixtures(): XenFixtures {
  return JSON.parse(readFileSync(new URL('expected.json', directory), 'utf8')) as XenFixtures;
}

export function xenFixture(kind: keyof XenFixtures, name: string): string {
  return readFileSync(new URL(`${kind}/${name}.cfg`, directory), 'utf8');
}
