import { environmentAssignment, execLine, listedPath, plainLine } from './systemd-text.ts';

/** The data for the units of one schedule. */
export interface ScheduledRun {
  /** The name of the units without its ending; see `isUnitName`. */
  unit: string;
  /** The names of the guests in the store. */
  guests: readonly string[];
  /** The guests as the backup command names them: images by path. Two schedules with the same sources and store are the same schedule. */
  sources: readonly string[];
  store: string;
  onCalendar: string;
  spreadSeconds: number;
  /** Run in order, until one fails. The program of each is an absolute path. */
  commands: readonly (readonly string[])[];
  environment: Readonly<Record<string, string>>;
  /** For the system's manager, as root; else for an account's manager. */
  isSystem: boolean;
  /** The store is reached over the network. */
  isRemote: boolean;
  /** The backup starts guests again, which keep running after it. */
  startsGuests: boolean;
  /** Directories that the backup writes to: clones beside images, a store, the metrics. */
  writablePaths: readonly string[];
  /** The backup needs something in /tmp. */
  needsTmp: boolean;
}

const marker = '# Written by vmferry schedule; it may be written anew by it.';
const subjectPrefix = '# vmferry-schedule: ';

/** A valid name for systemd.unit(5) that needs no escaping in a shell or a path. */
export function isUnitName(name: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$/.test(name);
}

/** The subject of a unit file that `serviceText` or `timerText` wrote; null for any other text. */
export function scheduledBy(text: string): string | null {
  const [first, second] = text.split('\n');
  if (first !== marker || second?.startsWith(subjectPrefix) !== true) return null;
  return second.slice(subjectPrefix.length);
}

/** The subject of a schedule, as its unit files have it. */
export function subjectOf({ sources, store }: Pick<ScheduledRun, 'sources' | 'store'>): string {
  return JSON.stringify({ guests: sources.toSorted(), store });
}

/** Null if a path or a word has a character that a unit file cannot hold. */
export function serviceText(run: ScheduledRun): string | null {
  const commands = run.commands.map(execLine);
  const environment = Object.entries(run.environment).map((entry) => environmentAssignment(...entry));
  const confinement = run.isSystem && !run.startsGuests ? confinementOf(run) : [];
  if ([...commands, ...environment, ...confinement].includes(null)) return null;
  return [
    ...heading(run),
    '[Unit]',
    `Description=${plainLine(describe(run))}`,
    'Documentation=man:systemd.service(5)',
    ...(run.isSystem && run.isRemote ? ['Wants=network-online.target', 'After=network-online.target'] : []),
    '',
    '[Service]',
    'Type=oneshot',
    ...environment.map((assignment) => `Environment=${assignment}`),
    '# In this order. If one fails, the following ones do not run.',
    ...commands.map((command) => `ExecStart=${command}`),
    ...(run.startsGuests ? beingAParent : beingInTheBackground),
    ...confinement,
    '',
  ].join('\n');
}

/** `Persistent`: if the machine was off at the time, the backup runs later. */
export function timerText(run: ScheduledRun): string {
  return [
    ...heading(run),
    '[Unit]',
    `Description=${plainLine(`When to run: ${describe(run)}`)}`,
    '',
    '[Timer]',
    `OnCalendar=${run.onCalendar}`,
    'Persistent=true',
    `RandomizedDelaySec=${run.spreadSeconds}`,
    `Unit=${run.unit}.service`,
    '',
    '[Install]',
    'WantedBy=timers.target',
    '',
  ].join('\n');
}

function heading(run: ScheduledRun): string[] {
  return [marker, `${subjectPrefix}${subjectOf(run)}`, ''];
}

function describe({ guests, store }: ScheduledRun): string {
  return `vmferry backup of ${guests.join(', ')} to ${store}`;
}

/** A guest that the service starts inherits its limits and stays in its control group, so there are no limits. */
const beingAParent = [
  '# No limits: the guest that the backup starts again would inherit them, and it keeps running.',
  'KillMode=process',
];

const beingInTheBackground = [
  '# A stop signals only vmferry, which lets paused guests go on and ends the programs that it started.',
  'KillMode=mixed',
  'TimeoutStopSec=5min',
  'Nice=10',
  'IOSchedulingClass=idle',
  'CPUWeight=20',
  'NoNewPrivileges=true',
  'UMask=0077',
];

/**
 * Takes away what root does not need for a backup. It needs images of any owner and the guests' consoles, which are sockets
 * (CAP_DAC_OVERRIDE), /proc of processes of any owner (CAP_SYS_PTRACE), and stopping and continuing them (CAP_KILL). These
 * cannot be set: ProtectClock= and PrivateDevices= hide block devices, which may be images, and Node.js does not run with
 * MemoryDenyWriteExecute=.
 */
function confinementOf({ writablePaths, needsTmp }: ScheduledRun): (string | null)[] {
  return [
    'CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_SYS_PTRACE CAP_KILL',
    'ProtectSystem=strict',
    'ProtectHome=read-only',
    '# The dash: a missing path is not an error.',
    ...writablePaths.map((path) => {
      const listed = listedPath(path);
      return listed === null ? null : `ReadWritePaths=${withDash(listed)}`;
    }),
    ...(needsTmp ? ['# No PrivateTmp=: the backup needs something in /tmp.'] : ['PrivateTmp=true']),
    'ProtectControlGroups=true',
    'ProtectHostname=true',
    'ProtectKernelLogs=true',
    'ProtectKernelModules=true',
    'ProtectKernelTunables=true',
    'LockPersonality=true',
    'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK',
    'RestrictNamespaces=true',
    'RestrictRealtime=true',
    'RestrictSUIDSGID=true',
    'SystemCallArchitectures=native',
  ];
}

/** The dash is part of the path, so it is within the quotes. */
function withDash(listed: string): string {
  return listed.startsWith('"') ? `"-${listed.slice(1)}` : `-${listed}`;
}
