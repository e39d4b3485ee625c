/** Fields of /proc/PID/stat; their numbers are in proc(5). */
export interface ProcessStat {
  pid: number;
  parentPid: number;
  sessionId: number;
  /** One letter. `Z`: it has ended, and its parent has not yet read its exit status. */
  state: string;
  /** CPU time of its own threads. */
  cpuSeconds: number;
  /** CPU time of its children that have ended and were waited for. */
  endedChildrenCpuSeconds: number;
  /** Clock ticks since the boot of this machine. Together with the pid, it identifies a process for ever. */
  startTimeTicks: number;
}

/** USER_HZ: the clock ticks of /proc, the same on every Linux machine that Node runs on. */
const ticksPerSecond = 100;

/** Parses /proc/PID/stat; null for any other text. */
export function parseProcessStat(text: string): ProcessStat | null {
  // The command's name is in parentheses, and may hold any character, parentheses and spaces included.
  const nameEnd = text.lastIndexOf(')');
  const fields = text.slice(nameEnd + 2).split(' ');
  const field = (number: number): number => Number(fields[number - 3]);
  const stat = {
    pid: Number.parseInt(text, 10),
    state: fields[0] ?? '',
    parentPid: field(4),
    sessionId: field(6),
    cpuSeconds: (field(14) + field(15)) / ticksPerSecond,
    endedChildrenCpuSeconds: (field(16) + field(17)) / ticksPerSecond,
    startTimeTicks: field(22),
  };
  return nameEnd < 0 || Number.isNaN(stat.startTimeTicks) ? null : stat;
}
