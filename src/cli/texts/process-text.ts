/** The process of a guest in brackets, after a space; nothing where its hypervisor has no process for it. */
export function processText(pid: number | null): string {
  return pid === null ? '' : ` (pid ${pid})`;
}
