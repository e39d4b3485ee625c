import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { commands } from '../../src/cli/commands.ts';
import type { Event } from '../../src/events.ts';
import type { FailureRecord } from '../../src/failure.ts';
import type { MoveServiceReport } from '../../src/operations/moves/move-service.ts';
import type { AutostartReport } from '../../src/operations/autostart/autostart.ts';
import type { BackupReport } from '../../src/operations/backup/backup-report.ts';
import type { ConvertReport } from '../../src/operations/convert/convert.ts';
import type { DiffReport } from '../../src/operations/stores/diff-snapshots.ts';
import type { ExportReport } from '../../src/operations/exchange/export-report.ts';
import type { ImportReport } from '../../src/operations/exchange/import-report.ts';
import type { ForgetReport } from '../../src/operations/stores/forget-guest.ts';
import type { ForgetRecordReport } from '../../src/operations/guests/forget-record.ts';
import type { GuestSummary } from '../../src/operations/guests/guests.ts';
import type { HaltReport } from '../../src/operations/guests/halt-guest.ts';
import type { ImageReport } from '../../src/operations/guests/inspect.ts';
import type { StoreListing } from '../../src/operations/stores/list-store.ts';
import type { MigrationPlan, MigrationReport } from '../../src/operations/migrate/migration-report.ts';
import type {
  MovedGuestsReport,
  PlannedGuestsReport,
} from '../../src/operations/migrate/several/moves-report.ts';
import type { PlainMoveReport } from '../../src/operations/plain-move/plain-move-report.ts';
import type { RehearsalReport } from '../../src/operations/rehearse/rehearsal-report.ts';
import type { ProtectReport } from '../../src/operations/stores/protect-snapshot.ts';
import type { CommitReport } from '../../src/operations/migrate/commit.ts';
import type { CutoverReport } from '../../src/operations/moves/cutover.ts';
import type { MoveSummary } from '../../src/operations/moves/list-moves.ts';
import type { PruneReport } from '../../src/operations/prune/prune-report.ts';
import type { RestoreReport } from '../../src/operations/restore/restore-report.ts';
import type { RevertReport } from '../../src/operations/migrate/revert.ts';
import type {
  SeveralHaltedReport,
  SeveralAutostartReport,
  SeveralStartedReport,
} from '../../src/operations/guests/several-guests.ts';
import type { ScheduleReport } from '../../src/operations/schedule/schedule.ts';
import type { UnscheduleReport } from '../../src/operations/schedule/units.ts';
import type { StoreMadeReport } from '../../src/operations/stores/init-store.ts';
import type { StartReport } from '../../src/operations/guests/start-guest.ts';
import type {
  KeyChangeReport,
  KeyExportReport,
  KeyListReport,
} from '../../src/operations/stores/store-key.ts';
import type { VerifyReport } from '../../src/operations/verify/verify-report.ts';

/** Whatever a command prints with --json. */
type JsonRecord =
  | Event
  | MigrationPlan
  | MigrationReport
  | RehearsalReport
  | MovedGuestsReport
  | PlannedGuestsReport
  | RevertReport
  | CommitReport
  | CutoverReport
  | { type: 'migrations'; moves: readonly MoveSummary[] }
  | StoreMadeReport
  | BackupReport
  | StoreListing
  | RestoreReport
  | VerifyReport
  | DiffReport
  | ExportReport
  | PlainMoveReport
  | ImportReport
  | PruneReport
  | ProtectReport
  | ForgetReport
  | KeyListReport
  | KeyChangeReport
  | KeyExportReport
  | ScheduleReport
  | UnscheduleReport
  | { type: 'guests'; guests: readonly GuestSummary[] }
  | ForgetRecordReport
  | HaltReport
  | StartReport
  | AutostartReport
  | MoveServiceReport
  | ConvertReport
  | SeveralHaltedReport
  | SeveralAutostartReport
  | SeveralStartedReport
  | ({ type: 'image' } & ImageReport)
  | ({ type: 'error'; exitStatus: number; problems: FailureRecord[] } & FailureRecord);

/** With each field that a record can have: none left out, null or empty. */
type Complete<T> = T extends readonly (infer Item)[]
  ? readonly [Complete<Item>, ...Complete<Item>[]]
  : T extends object
    ? { [Key in keyof T]-?: Complete<NonNullable<T[Key]>> }
    : T;
type RecordOf<Type, Candidate = JsonRecord> = Candidate extends { type: infer Types }
  ? Type extends Types
    ? Complete<Candidate>
    : never
  : never;

const probe = {
  probe: '',
  isChosen: true,
  outcome: 'passed',
  before: '',
  after: '',
  seconds: 0,
  isOnlyThere: true,
} as const;
const account = { source: '', target: '', sizeBytes: 0, readBytes: 0, holeBytes: 0, freeBytes: 0 };
const failure = { code: 'usage', message: '', advice: '' } as const;
const fileCount = { count: 0, bytes: 0 };
const extents = [{ offset: 0, length: 0 }] as const;

const plan = {
  type: 'plan',
  guest: '',
  destination: '',
  willHalt: true,
  willBoot: true,
  warm: true,
  devices: [{ path: '', sizeBytes: 0, holds: [''] }],
  as: 'xen',
  changes: [''],
  losses: [''],
  disks: [account],
  estimatedSendBytes: 0,
  mostSendBytes: 0,
  estimatedDowntimeSeconds: 0,
  warnings: [''],
} as const;
const moved = {
  type: 'moved',
  guest: '',
  archive: '',
  destination: '',
  directory: '',
  devices: [{ path: '', sizeBytes: 0, holds: [''] }],
  as: 'xen',
  changes: [''],
  losses: [''],
  disks: [{ ...account, sentBytes: 0, takenBytes: 0, fingerprint: '', readBack: 'direct' }],
  passes: [{ readBytes: 0, changedBytes: 0, sentBytes: 0, seconds: 0 }],
  seconds: 0,
  downtimeSeconds: 0,
  downtimeParts: { haltSeconds: 0, copySeconds: 0, verifySeconds: 0, bootSeconds: 0 },
  predictedDowntimeSeconds: 0,
  booted: { pid: 0, consoleLog: '' },
  probes: [probe],
  committed: true,
  warnings: [''],
} as const;

/**
 * A record of each type. The type checker finds a type or a field that is missing here, and the test one that is missing
 * in the document.
 */
const samples: { [Type in JsonRecord['type']]: RecordOf<Type> } = {
  'stage-started': { type: 'stage-started', stage: 'copy', message: '', guest: '' },
  'stage-finished': { type: 'stage-finished', stage: 'copy', message: '', seconds: 0, guest: '' },
  'stage-failed': { type: 'stage-failed', stage: 'copy', message: '', seconds: 0, guest: '' },
  progress: { type: 'progress', stage: 'copy', doneBytes: 0, totalBytes: 0, sentBytes: 0, guest: '' },
  warning: { type: 'warning', code: 'other', message: '', guest: '' },
  notice: { type: 'notice', message: '', guest: '' },
  probed: { type: 'probed', ...probe, guest: '' },
  error: { type: 'error', ...failure, exitStatus: 0, problems: [failure] },
  plan,
  moved,
  rehearsed: {
    type: 'rehearsed',
    guest: '',
    destination: '',
    as: 'xen',
    changes: [''],
    losses: [''],
    disks: [{ source: '', target: '', partial: '', sizeBytes: 0, sentBytes: 0 }],
    passes: moved.passes,
    bootSeconds: 0,
    predictedDowntimeSeconds: 0,
    giveUp: '',
    seconds: 0,
    warnings: [''],
  },
  'guests-moved': {
    type: 'guests-moved',
    destination: '',
    guests: [moved],
    failed: [{ guest: '', ...failure }],
    notBegun: [''],
  },
  'guests-planned': { type: 'guests-planned', destination: '', guests: [plan] },
  reverted: { type: 'reverted', guest: '', pid: 0, consoleLog: '', wasRunningThere: true },
  committed: { type: 'committed', guest: '', destination: '', images: [''], deleted: [''] },
  cutover: { type: 'cutover', guest: '', destination: '', pid: 0 },
  migrations: {
    type: 'migrations',
    moves: [
      { guest: '', state: 'moved', other: '', changedAt: '', pid: 0, commands: [''], problem: failure },
    ],
  },
  'store-made': { type: 'store-made', store: '', id: '', encrypted: true },
  'backed-up': {
    type: 'backed-up',
    store: '',
    guests: [
      {
        guest: '',
        snapshot: '',
        consistency: 'halted',
        disks: [
          {
            name: '',
            sizeBytes: 0,
            readBytes: 0,
            unchangedBytes: 0,
            holeBytes: 0,
            freeBytes: 0,
            fingerprint: '',
          },
        ],
        newPlainBytes: 0,
        newBytes: 0,
        seconds: 0,
      },
    ],
    failed: [{ guest: '', ...failure }],
  },
  store: {
    type: 'store',
    store: '',
    isEncrypted: true,
    guests: [
      {
        guest: '',
        snapshots: [
          {
            id: '',
            createdAt: '',
            consistency: 'halted',
            host: 'alpha',
            sizeBytes: 0,
            usedBytes: 0,
            newBytes: 0,
            isProtected: true,
            state: 'whole',
            checkedAt: '',
            verifiedAt: '',
            bootedAt: '',
            problem: '',
          },
        ],
        packs: 0,
        storedBytes: 0,
        trashBytes: 0,
        damagedFiles: 0,
      },
    ],
  },
  restored: {
    type: 'restored',
    guest: '',
    snapshot: '',
    consistency: 'halted',
    disks: [
      {
        name: '',
        target: '',
        sizeBytes: 0,
        readFromStoreBytes: 0,
        writtenBytes: 0,
        unchangedBytes: 0,
        fingerprint: '',
        readBack: 'direct',
        missing: extents,
      },
    ],
    started: { pid: 0, consoleLog: '' },
    seconds: 0,
  },
  verified: {
    type: 'verified',
    store: '',
    guests: [
      {
        guest: '',
        snapshots: 0,
        packs: fileCount,
        read: fileCount,
        problems: [{ kind: 'map-missing', file: '', message: '' }],
        damaged: [{ snapshot: '', disks: [{ name: '', damagedBytes: 0, ranges: extents, moreRanges: 0 }] }],
        unreferenced: fileCount,
        takenBack: 0,
      },
    ],
    boot: { guest: '', snapshot: '', bootSeconds: 0 },
    bootFailure: failure,
    isDamaged: true,
    seconds: 0,
  },
  diff: {
    type: 'diff',
    guest: '',
    from: '',
    to: '',
    disks: [
      {
        name: '',
        fromBytes: 0,
        toBytes: 0,
        changedBytes: 0,
        addedBytes: 0,
        removedBytes: 0,
        ranges: [{ offset: 0, length: 0, difference: 'changed' }],
      },
    ],
  },
  'moved-via': {
    type: 'moved-via',
    via: 'bzip2',
    guest: '',
    destination: '',
    disks: [{ source: '', target: '', sizeBytes: 0, readBytes: 0, sentBytes: 0, sha256: '' }],
    startText: '',
    seconds: 0,
  },
  exported: {
    type: 'exported',
    guest: '',
    snapshot: '',
    output: '',
    consistency: 'halted',
    disks: [{ name: '', sizeBytes: 0, holeBytes: 0, freeBytes: 0, readBytes: 0, sha256: '' }],
    sizeBytes: 0,
    seconds: 0,
  },
  imported: {
    type: 'imported',
    from: '',
    content: 'archive',
    compression: 'zstd',
    guest: '',
    checked: 'sha256sums',
    disks: [
      {
        name: '',
        target: '',
        sizeBytes: 0,
        writtenBytes: 0,
        sha256: '',
        fingerprint: '',
        readBack: 'direct',
      },
    ],
    started: { pid: 0, consoleLog: '' },
    seconds: 0,
  },
  pruned: {
    type: 'pruned',
    store: '',
    dryRun: true,
    guests: [
      {
        guest: '',
        kept: [{ id: '', reasons: [{ rule: 'daily', period: '' }] }],
        removed: [''],
        trashedBytes: 0,
        freedBytes: 0,
        rewrittenPacks: 0,
        neededBytes: 0,
        wastedBytes: 0,
        missingChunks: 0,
        failure,
      },
    ],
  },
  protected: { type: 'protected', guest: '', snapshot: '' },
  unprotected: { type: 'unprotected', guest: '', snapshot: '' },
  'record-forgotten': { type: 'record-forgotten', guest: '' },
  forgotten: { type: 'forgotten', guest: '', snapshots: [''], freedBytes: 0 },
  keys: { type: 'keys', store: '', keys: [{ id: '', createdAt: '', label: '' }] },
  'key-added': { type: 'key-added', store: '', key: '' },
  'key-removed': { type: 'key-removed', store: '', key: '' },
  'key-export': { type: 'key-export', store: '', text: '' },
  schedule: {
    type: 'schedule',
    unit: '',
    files: [{ path: '', text: '' }],
    cronLine: '',
    state: 'enabled',
    isSystem: true,
    replaced: true,
    prunes: true,
  },
  unschedule: { type: 'unschedule', unit: '', removed: [''] },
  guests: {
    type: 'guests',
    guests: [
      {
        name: '',
        driver: 'uml',
        state: 'running',
        memoryBytes: 0,
        cpuSeconds: 0,
        pid: 0,
        autostart: true,
        disks: [{ path: '', sizeBytes: 0, usedBytes: 0 }],
        imageMissing: true,
        movedTo: '',
        unsupported: '',
      },
    ],
  },
  halted: { type: 'halted', guest: '', notClean: [''] },
  started: { type: 'started', guest: '', pid: 0, consoleLog: '' },
  autostart: {
    type: 'autostart',
    guest: '',
    driver: 'uml',
    autostart: true,
    unit: '',
    file: '',
    isSystem: true,
  },
  'move-service': {
    type: 'move-service',
    guest: '',
    destination: '',
    cutoverAt: '',
    unit: '',
    file: '',
    isSystem: true,
    giveUp: '',
  },
  'guests-halted': {
    type: 'guests-halted',
    guests: [{ type: 'halted', guest: '', notClean: [''] }],
    failed: [{ guest: '', ...failure }],
  },
  'guests-autostart': {
    type: 'guests-autostart',
    guests: [
      { type: 'autostart', guest: '', driver: 'uml', autostart: true, unit: '', file: '', isSystem: true },
    ],
    failed: [{ guest: '', ...failure }],
  },
  'guests-started': {
    type: 'guests-started',
    guests: [{ type: 'started', guest: '', pid: 0, consoleLog: '' }],
    failed: [{ guest: '', ...failure }],
  },
  converted: {
    type: 'converted',
    guest: '',
    from: 'uml',
    to: 'xen',
    text: '',
    changes: [''],
    losses: [''],
    definition: '',
  },
  image: {
    type: 'image',
    path: '',
    format: 'raw',
    container: {
      backingFiles: [{ path: '', format: 'raw' }],
      snapshots: [''],
      snapshotCount: 0,
      statedBytes: 0,
    },
    sizeBytes: 0,
    allocatedBytes: 0,
    holeBytes: 0,
    freeBytes: 0,
    sendBytes: 0,
    regions: [
      {
        ...extents[0],
        kind: '',
        label: '',
        uuid: '',
        clean: true,
        usedBytes: 0,
        skippable: true,
        reason: '',
        volumeGroup: {
          name: '',
          unallocated: extents,
          volumes: [
            {
              name: '',
              length: 0,
              pieces: extents,
              kind: '',
              label: '',
              uuid: '',
              clean: true,
              usedBytes: 0,
              skippable: true,
              reason: '',
            },
          ],
        },
      },
    ],
    users: [{ kind: 'process', pid: 0, onlyReads: true, name: '', description: '' }],
  },
};

const projectDirectory = join(import.meta.dirname, '..', '..');
const document = readFileSync(join(projectDirectory, 'doc', 'json.md'), 'utf8');
/** The sections of the document by the type that their heading names; two types may share one. */
const sections = new Map(
  document
    .split(/^### /m)
    .slice(1)
    .flatMap((section) => {
      const [heading = ''] = section.split('\n');
      return [...heading.matchAll(/`([a-z-]+)`/g)].map(([, type = '']) => [type, section] as const);
    }),
);

/** `disks[].source` for a field of the objects in a list. */
function pathsOf(value: unknown, path: string): string[] {
  if (Array.isArray(value)) return pathsOf(value[0], `${path}[]`);
  if (typeof value !== 'object' || value === null) return [path];
  return Object.entries(value).flatMap(([key, item]) => pathsOf(item, path === '' ? key : `${path}.${key}`));
}

test('doc/json.md has a section for each type of record, and for no other', () => {
  expect([...sections.keys()].sort()).toEqual(Object.keys(samples).sort());
});

describe.each(Object.entries(samples))('doc/json.md, %s', (type, sample) => {
  test('lists each field of the record, and no other', () => {
    const rows = [...(sections.get(type) ?? '').matchAll(/^\| `([^`]+)` \| (.+) \|$/gm)];
    const fields = pathsOf(sample, '').filter((path) => path !== 'type');
    expect(rows.map(([, path = '']) => path).sort()).toEqual(fields.sort());
  });
});

test('doc/json.md names each command', () => {
  const names = commands.filter(({ internal }) => internal !== true).map(({ usage }) => usage.split(' ')[0]);
  expect(names.filter((name) => !document.includes(`\`vmferry ${name}`))).toEqual([]);
});
