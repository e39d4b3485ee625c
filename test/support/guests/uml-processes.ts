import { readdirSync, readFileSync } from 'node:fs';

/** The pids of all processes of guests with that umid (null: any) that were started with `umlDir`. */
export function umlProcessesOf(umid: string | null, umlDir: string): number[] {
  const pids: number[] = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const argv = argumentsOf(entry);
    if ((umid === null || argv.includes(`umid=${umid}`)) && argv.includes(`uml_dir=${umlDir}`))
      pids.push(Number(entry));
  }
  return pids;
}

function argumentsOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    // it ended
    return [];
  }
}

const LOOK_EVERY_MS = 100;

/** Watches whether the guest runs on two hosts at the same time. */
export interface DoubleRunWatch extends Disposable {
  /** The times at which that was seen, in ISO 8601. */
  seen: readonly string[];
}

export function watchForDoubleRun(umids: readonly string[], umlDirs: readonly string[]): DoubleRunWatch {
  const seen: string[] = [];
  const look = () => {
    for (const umid of umids) {
      const running = umlDirs
        .map((umlDir) => umlProcessesOf(umid, umlDir))
        .filter(({ length }) => length > 0);
      if (running.length > 1) seen.push(`${new Date().toISOString()} ${umid}: ${JSON.stringify(running)}`);
    }
  };
  const timer = setInterval(look, LOOK_EVERY_MS);
  return {
    seen,
    [Symbol.dispose]: () => {
      clearInterval(timer);
    },
  };
}
