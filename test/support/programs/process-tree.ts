import { readdir, readFile } from 'node:fs/promises';
import process from 'node:process';

/** All descendants of a process, children before grandchildren (proc(5), `stat`: the parent is field 4). */
export async function descendantsOf(pid: number): Promise<number[]> {
  const parents = new Map<number, number>();
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = await readFile(`/proc/${entry}/stat`, 'utf8').catch(() => '');
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    if (stat !== '') parents.set(Number(entry), parent);
  }
  const found = [pid];
  for (const ancestor of found)
    for (const [child, parent] of parents) if (parent === ancestor) found.push(child);
  return found.slice(1);
}

/** Kills a process and all its descendants, sessions of their own included. */
export async function killTree(pid: number): Promise<void> {
  for (const each of [...(await descendantsOf(pid)), pid]) {
    try {
      process.kill(each, 'SIGKILL');
    } catch {
      // it ended by itself meanwhile
    }
  }
}
