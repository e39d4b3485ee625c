import process from 'node:process';

/** The most memory that this process ever had; what grew and was let go again shows. */
export function peakMemoryBytes(): number {
  return process.resourceUsage().maxRSS * 1024;
}
