/** What /proc/PID/stat tells of a process; field numbers as in proc(5). */
export interface ProcessStat {
  pid: number;
  parentPid: number;
  sessionId: number;
  /** One letter; `Z`: it has ended and waits for its parent to ask for its exit status. */
  state: string;
  /** CPU time of its own threads, and of its children that ended and were waited for; in seconds. */
  cpuSeconds: number;
  endedChildrenCpuSeconds: number;
  /** In clock ticks since this machine's boot. With the pid, it tells a process from all others there ever were. */
  startTimeTicks: number;
}

/** USER_HZ: the clock ticks of /proc are this long on every Linux machine that Node runs on. */
const ticksPerSecond = 100;

/** The content of /proc/PID/stat; null for what is not that. */
export function parseProcessStat(text: string): ProcessStat | null {
  // The command's name stands in parentheses and may hold any character, these and spaces included.
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
