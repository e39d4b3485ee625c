export interface TcpProbe {
  kind: 'tcp';
  /** Null: the guest's own address. */
  host: string | null;
  port: number;
}

/** A question that is asked before the halt and again after the boot. */
export type Probe =
  | TcpProbe
  | { kind: 'http'; url: string }
  /** A command line for sh, on the machine where vmferry runs. */
  | { kind: 'exec'; command: string };

/** What `vmferry migrate` is asked to probe. */
export interface ProbeRequest {
  /** Null: each well-known TCP port of the guest that answers before the halt. Empty: nothing. */
  chosen: readonly Probe[] | null;
  /** An address of the guest; null: what the kernel's table of neighbours has for its cards. */
  address: string | null;
  /** How long after the boot the answers may take, in milliseconds. */
  limitMs: number;
  /** Leave the guest where it is if a probe fails, and the way back open if none does. */
  keepOpen: boolean;
}

const LONGEST_COMMAND = 80;

/** What the probe is called in messages, as it is typed. The query of a URL is left out: it may hold a secret. */
export function nameOfProbe(probe: Probe): string {
  switch (probe.kind) {
    case 'tcp':
      return probe.host === null
        ? `tcp:${probe.port}`
        : `tcp:${probe.host.includes(':') ? `[${probe.host}]` : probe.host}:${probe.port}`;
    case 'http': {
      const { origin, pathname } = new URL(probe.url);
      return `${origin}${pathname}`;
    }
    case 'exec': {
      const { command } = probe;
      return `exec:${command.length > LONGEST_COMMAND ? `${command.slice(0, LONGEST_COMMAND)}…` : command}`;
    }
  }
}

/** Reads `tcp:22`, `tcp:HOST:22`, `tcp:[ADDRESS]:22`, `http://…`, `https://…` or `exec:COMMAND`; null for anything else. */
export function parseProbe(text: string): Probe | null {
  if (text.includes('\0')) return null;
  const [, command] = /^exec:(.*\S.*)$/s.exec(text) ?? [];
  if (command !== undefined) return { kind: 'exec', command };
  if (/^https?:\/\//i.test(text)) return parseUrl(text);
  const [, bracketed, plain, digits] =
    /^tcp:(?:(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\s:[\]/]+)):)?([0-9]{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (!(port >= 1 && port <= 65_535)) return null;
  return { kind: 'tcp', host: bracketed ?? plain ?? null, port };
}

function parseUrl(text: string): Probe | null {
  if (!URL.canParse(text)) return null;
  const { username, password } = new URL(text);
  // It would be seen in the list of processes.
  return username === '' && password === '' ? { kind: 'http', url: text } : null;
}
