import { constants, open } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Context } from '../events.ts';
import { Failure } from '../failure.ts';
import { largestConfigBytes, mergeConfig, type Config, type ConfigFile } from './config.ts';

/**
 * Where configuration is looked for, the last one before the first: `/etc/vmferry/config.yaml`, and
 * `vmferry/config.yaml` in `$XDG_CONFIG_HOME` or `~/.config`.
 */
export function configFiles(environment: NodeJS.ProcessEnv): string[] {
  const base = environment['XDG_CONFIG_HOME'];
  // A relative path there is to be ignored (XDG Base Directory Specification).
  const directory = base?.startsWith('/') ? base : join(environment['HOME'] || homedir(), '.config');
  return ['/etc/vmferry/config.yaml', join(directory, 'vmferry', 'config.yaml')];
}

/**
 * Reads the configuration; none at all is an empty one. Throws Failure `usage` for what is wrong in a file, with line
 * and column, and `not-permitted` where a file cannot be read for another reason than that it is not for this account
 * (warning `config-passed-over`), or where others than root and this account could have
 * written it: what it says is done with the rights of this account.
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
    // Most have none, and do without the parser.
    const { parseConfig } = await import('./parse-config.ts');
    files.push({ path, content: parseConfig(text, path) });
  }
  return mergeConfig(files);
}

async function readIfThere(path: string, report: Context['report']): Promise<string | null> {
  let file;
  try {
    // A FIFO is not waited for.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = await file.stat();
    if (!stats.isFile()) throw notAFile(path);
    const { mode, uid } = stats;
    const isOthers = (uid !== 0 && uid !== process.getuid?.()) || (mode & 0o002) !== 0;
    if (isOthers) throw notTrusted(path);
    // One more than is allowed, so that more is noticed.
    const { buffer, bytesRead } = await file.read(Buffer.alloc(largestConfigBytes + 1));
    return buffer.toString('utf8', 0, bytesRead);
  } catch (error) {
    if (error instanceof Failure) throw error;
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    // Made for root alone, it is not meant for this account. A store that it names is asked for in vain then, and says so.
    if (code === 'EACCES') {
      const message = `The configuration ${path} may not be read by this account, and is passed over.`;
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
  return new Failure('not-permitted', `The configuration ${path} is not taken: it is no ordinary file.`, {
    advice: 'Put a file there, or a link to one.',
  });
}

function notTrusted(path: string): Failure {
  return new Failure(
    'not-permitted',
    `The configuration ${path} is not taken: others than root and this account may write to it.`,
    { advice: `Make it yours alone: \`chown $(id -u) ${path} && chmod go-w ${path}\`.` },
  );
}
