import { lstatSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Failure } from '../../../../failure.ts';
import { isGuestName, type GuestDefinition } from '../../../definition.ts';
import { configFailure } from '../config/config-problem.ts';
import { readXenConfig } from '../config/read.ts';
import { isXenConfig } from '../config/recognize.ts';
import { MOST_CONFIG_CHARACTERS } from '../config/scan.ts';
import type { XenHost } from '../host/host.ts';

/** A file with the configuration of a guest. */
export interface ConfigFile {
  /** With links resolved. */
  path: string;
  /** The name inside, which decides; the file may be called otherwise. */
  name: string;
  text: string;
  definition: GuestDefinition;
  /** Why the guest cannot be moved or started. */
  unsupported: Failure | null;
}

/** Something in the directory of xendomains that starts a guest with the machine. */
export interface AutoEntry {
  /** The path of the entry itself: a link, or a file. */
  entry: string;
  isLink: boolean;
  file: ConfigFile;
}

/** Files in /etc/xen that are no guests: Xen's own, examples, and copies that editors and packages leave. */
const otherFiles =
  /^\.|\.(?:conf|bak|orig|old|save|disabled|rej|swp|dpkg-\w+|rpm\w+)$|~$|^x[lm]example|^(?:README|scripts)/;

/** The guests that have a file: in /etc/xen, and by the links of xendomains elsewhere. A file that is found twice is there once. */
export function listConfigFiles(host: XenHost): ConfigFile[] {
  const inDirectory = namesIn(host.configDirectory)
    .filter((name) => !otherFiles.test(name))
    .map((name) => readConfigFile(join(host.configDirectory, name)));
  const all = [...inDirectory, ...listAutoEntries(host).map(({ file }) => file)];
  const files = new Map<string, ConfigFile>();
  const seen = new Set<string>();
  for (const file of all) {
    if (file === null || seen.has(identityOf(file.path))) continue;
    seen.add(identityOf(file.path));
    files.set(file.path, file);
  }
  return [...files.values()];
}

/** What xendomains starts, in its order. Its script takes each file that does not begin with a dot. */
export function listAutoEntries(host: XenHost): AutoEntry[] {
  return namesIn(host.autoDirectory)
    .filter((name) => !name.startsWith('.'))
    .flatMap((name) => {
      const entry = join(host.autoDirectory, name);
      const file = readConfigFile(entry);
      return file === null ? [] : [{ entry, isLink: isLink(entry), file }];
    });
}

/** The file whose guest has this name; the first one if there are several. */
export function findConfigFile(host: XenHost, name: string): ConfigFile | null {
  return listConfigFiles(host).find((file) => file.name === name) ?? null;
}

/** Reads a file that configures a guest; null for any other. */
export function readConfigFile(path: string): ConfigFile | null {
  try {
    const stats = statSync(path);
    if (!stats.isFile() || stats.size > MOST_CONFIG_CHARACTERS) return null;
    const text = readFileSync(path, 'utf8');
    return configFileOf(realpathSync(path), text);
  } catch {
    // It vanished, or cannot be read.
    return null;
  }
}

function configFileOf(path: string, text: string): ConfigFile | null {
  const { definition, problems } = readXenConfig(text);
  const isRight = problems.length === 0;
  if (!isRight && !isXenConfig(text)) return null;
  if (definition === null && isRight) return null;
  const unsupported = isRight ? null : configFailure(path, problems);
  const name = definition?.name ?? nameIn(text);
  if (name === null) return null;
  return { path, name, text, definition: definition ?? emptyDefinition(name), unsupported };
}

/** The name in a file that is not understood as a whole. */
function nameIn(text: string): string | null {
  const name = /(?:^|[;\n])[ \t]*name[ \t]*=[ \t]*(["'])([^"'\\\n]*)\1/.exec(text)?.[2] ?? '';
  return isGuestName(name) ? name : null;
}

function emptyDefinition(name: string): GuestDefinition {
  return {
    name,
    driver: 'xen',
    memoryBytes: null,
    cpuCount: null,
    kernel: null,
    initrd: null,
    disks: [],
    commandLine: [],
  };
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).toSorted();
  } catch {
    return [];
  }
}

function isLink(path: string): boolean {
  return lstatSync(path).isSymbolicLink();
}

/** Equal for hard links to one file. */
export function identityOf(path: string): string {
  const { dev, ino } = statSync(path);
  return `${dev} ${ino}`;
}
