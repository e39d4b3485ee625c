/** What a Debian guest has written to its console about its boot (`report.sh`). */
export interface BootReport {
  /** The units of systemd that failed. */
  failed: readonly string[];
  /** The jobs of systemd that still ran. */
  running: string;
  /** Its network cards. */
  cards: string;
  address: string;
  /** How the root file system is mounted. */
  root: string;
  /** What /dev/ubda is. */
  former: string;
  getty: string;
  console: string;
}

/** The last report on a console. */
export function bootReportOf(console: string): BootReport {
  const said = (what: string): string =>
    [...console.matchAll(new RegExp(`REPORT ${what}=(.*?)\\s*$`, 'gm'))].at(-1)?.[1] ?? '';
  return {
    failed: said('failed')
      .split(' ')
      .filter((unit) => unit !== ''),
    running: said('running'),
    cards: said('cards'),
    address: said('address'),
    root: said('root'),
    former: said('former'),
    getty: said('getty'),
    console,
  };
}
