import { environmentAssignment, execLine, listedPath, plainLine } from './systemd-text.ts';

/** What the units of one schedule are made from. */
export interface ScheduledRun {
  /** Of the units, without what they end in; see `isUnitName`. */
  unit: string;
  /** What it backs up, by the names that the store has for it. */
  guests: readonly string[];
  /** The same as the backup command names it: images by their paths. Two schedules of one name are the same one if they agree in this and in the store. */
  sources: readonly string[];
  store: string;
  onCalendar: string;
  spreadSeconds: number;
  /** One after the other; after one that fails none is run. The program of each is an absolute path. */
  commands: readonly (readonly string[])[];
  environment: Readonly<Record<string, string>>;
  /** For the system's own manager, as root; else for one of an account. */
  isSystem: boolean;
  /** It goes over the network. */
  isRemote: boolean;
  /** It starts guests again, which then go on when the backup has ended. */
  startsGuests: boolean;
  /** Directories below which it writes: clones beside images, a store, the metrics. */
  writablePaths: readonly string[];
  /** Something that it needs lies in /tmp. */
  needsTmp: boolean;
}

const marker = '# Written by vmferry schedule; it may be written anew by it.';
const subjectPrefix = '# vmferry-schedule: ';

/** As of systemd.unit(5), without what would have to be escaped for a shell or in a path. */
export function isUnitName(name: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$/.test(name);
}

/** What is scheduled by a unit file that `serviceText` or `timerText` wrote; null for any other text. */
export function scheduledBy(text: string): string | null {
  const [first, second] = text.split('\n');
  if (first !== marker || second?.startsWith(subjectPrefix) !== true) return null;
  return second.slice(subjectPrefix.length);
}

/** The same from before it is written. */
export function subjectOf({ sources, store }: Pick<ScheduledRun, 'sources' | 'store'>): string {
  return JSON.stringify({ guests: sources.toSorted(), store });
}

/** Null: a path or a word has a sign in it that a unit file cannot hold. */
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
    '# In this order; when one fails, those after it are not run.',
    ...commands.map((command) => `ExecStart=${command}`),
    ...(run.startsGuests ? beingAParent : beingInTheBackground),
    ...confinement,
    '',
  ].join('\n');
}

/** `Persistent`: a time that was slept through is made up for. */
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

/** A guest that it starts inherits all of its limits and lives on in its control group: so there are none. */
const beingAParent = [
  '# The guest that it starts again stays when the backup ends, and inherits what is set here: no limits, therefore.',
  'KillMode=process',
];

const beingInTheBackground = [
  '# A stop asks vmferry alone to end: it lets a guest go on that it had stopped, and ends what it had started itself.',
  'KillMode=mixed',
  'TimeoutStopSec=5min',
  'Nice=10',
  'IOSchedulingClass=idle',
  'CPUWeight=20',
  'NoNewPrivileges=true',
  'UMask=0077',
];

/**
 * What root does not need for a backup. It needs: images of any owner, and the consoles of guests, which are sockets
 * (CAP_DAC_OVERRIDE); what /proc says of processes of any owner (CAP_SYS_PTRACE); to stop and continue these (CAP_KILL).
 * Not here: ProtectClock= and PrivateDevices=, under which no block device is an image; MemoryDenyWriteExecute=, under
 * which Node.js does not run.
 */
function confinementOf({ writablePaths, needsTmp }: ScheduledRun): (string | null)[] {
  return [
    'CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_SYS_PTRACE CAP_KILL',
    'ProtectSystem=strict',
    'ProtectHome=read-only',
    '# A path that is not there is no error (the dash).',
    ...writablePaths.map((path) => {
      const listed = listedPath(path);
      return listed === null ? null : `ReadWritePaths=${withDash(listed)}`;
    }),
    ...(needsTmp ? ['# Something that it needs lies in /tmp: no PrivateTmp=.'] : ['PrivateTmp=true']),
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

/** The dash belongs to the path, so it stands within the quotes. */
function withDash(listed: string): string {
  return listed.startsWith('"') ? `"-${listed.slice(1)}` : `-${listed}`;
}
