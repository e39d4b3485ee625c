import { errorCode } from '../../../system/error-code.ts';
import { run } from '../../../system/processes.ts';
import type { KernelFacts } from '../../guest-driver.ts';
import type { UmlHost } from './host.ts';

/** Such a kernel only prints, within some milliseconds. */
const timeoutMs = 10_000;

/** What the kernel prints of itself: `--version`, and its configuration by `--showconfig`. Null if it prints no version. */
export async function umlKernelFacts(
  path: string,
  { environment }: Pick<UmlHost, 'environment'>,
  signal: AbortSignal,
): Promise<KernelFacts | null> {
  const ask = async (option: string) => {
    const { stdout, exitStatus } = await run(path, [option], { env: environment, signal, timeoutMs });
    return exitStatus === 0 ? stdout : '';
  };
  try {
    const version = /^[\w.+~-]{1,128}$/.exec((await ask('--version')).trim())?.[0];
    if (version === undefined) return null;
    const config = await ask('--showconfig');
    return { path, version, config: config.includes('CONFIG_') ? config : null };
  } catch (error) {
    signal.throwIfAborted();
    if (errorCode(error) === '') throw error;
    return null;
  }
}
