import process from 'node:process';

/** The peak memory of this process, including memory that was freed since. */
export function peakMemoryBytes(): number {
  return process.resourceUsage().maxRSS * 1024;
}
