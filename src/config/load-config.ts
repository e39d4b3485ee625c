import { constants, open } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Context } from '../events.ts';
import { Failure } from '../failure.ts';
import { largestConfigBytes, mergeConfig, type Config, type ConfigFile } from './config.ts';

/**
 * Paths of the configuration files; the later one wins: `/etc/vmferry/config.yaml`, and `vmferry/config.yaml` in
 * `$XDG_CONFIG_HOME` or `~/.config`.
 */
export function configFiles(environment: NodeJS.ProcessEnv): string[] {
  const base = environment['XDG_CONFIG_HOME'];
  // The XDG Base Directory Specification says to ignore relative paths.
  const directory = base?.startsWith('/') ? base : join(environment['HOME'] || homedir(), '.config');
  return ['/etc/vmferry/config.yaml', join(directory, 'vmferry', 'config.yaml')];
}

/**
 * Reads the configuration; missing files count as empty. Throws Failure `usage` for errors in a file, with line and
 * column. Throws `not-permitted` for a file that cannot be read, or that others than root and this account can write to:
 * its commands run with the rights of this account. A file that this account may not read is only a warning
 * (`config-passed-over`).
 */
export async function loadConfig(
  environment: NodeJS.ProcessEnv,
  { signal, report }: Context,
  paths: readonly string[] = configFiles(environment),
): Promise<Config> {
  const files: { path: string; content: ConfigFile }[] = [];
  for (const path of paths) {
    signal.throwIfAborted();
    const text = await readIfThere(path, report);
    if (text === null) continue;
    // Most machines have no configuration, so the parser is loaded only now.
    const { parseConfig } = await import('./parse-config.ts');
    files.push({ path, content: parseConfig(text, path) });
  }
  return mergeConfig(files);
}

async function readIfThere(path: string, report: Context['report']): Promise<string | null> {
  let file;
  try {
    // O_NONBLOCK: do not wait for the writer of a FIFO.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = await file.stat();
    if (!stats.isFile()) throw notAFile(path);
    const { mode, uid } = stats;
    const isOthers = (uid !== 0 && uid !== process.getuid?.()) || (mode & 0o002) !== 0;
    if (isOthers) throw notTrusted(path);
    // One byte more than allowed, so that a larger file is noticed.
    const { buffer, bytesRead } = await file.read(Buffer.alloc(largestConfigBytes + 1));
    return buffer.toString('utf8', 0, bytesRead);
  } catch (error) {
    if (error instanceof Failure) throw error;
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    // A file only for root is not meant for this account. If a store is named in it, looking up the store fails with a message.
    if (code === 'EACCES') {
      const message = `Ignored the configuration ${path}: this account may not read it.`;
      report({ type: 'warning', code: 'config-passed-over', message });
      return null;
    }
    throw new Failure('not-permitted', `The configuration ${path} cannot be read: ${code}.`, {
      cause: error,
    });
  } finally {
    await file?.close();
  }
}

function notAFile(path: string): Failure {
  return new Failure('not-permitted', `The configuration ${path} is refused: it is not a regular file.`, {
    advice: 'Replace it by a file, or a link to a file.',
  });
}

function notTrusted(path: string): Failure {
  return new Failure(
    'not-permitted',
    `The configuration ${path} is refused: accounts other than root and this one may write to it.`,
    { advice: `Make it yours alone: \`chown $(id -u) ${path} && chmod go-w ${path}\`.` },
  );
}
