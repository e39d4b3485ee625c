import { cp, mkdir } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { succeed } from '../base/command.ts';

/**
 * Copies these modules, and the modules that they need, from one tree to another; `lib/modules` is in each. Modules that
 * are built into the kernel need no file.
 */
export async function copyModules(
  from: string,
  to: string,
  version: string,
  modules: readonly string[],
): Promise<void> {
  const listing = ['-d', from, '-S', version, '--show-depends', '--all', ...modules];
  const lines = (await succeed('modprobe', listing)).split('\n');
  const files = lines.flatMap((line) => /^insmod (\S+)/.exec(line)?.[1] ?? []);
  const ofTheKernel = ['modules.builtin', 'modules.builtin.modinfo', 'modules.order'].map((name) =>
    join(from, 'lib/modules', version, name),
  );
  for (const file of new Set([...files, ...ofTheKernel])) {
    const copy = join(to, relative(from, file));
    await mkdir(dirname(copy), { recursive: true });
    await cp(file, copy);
  }
  await succeed('depmod', ['-b', to, version]);
}
