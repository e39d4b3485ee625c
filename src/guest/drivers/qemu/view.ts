import { randomBytes } from 'node:crypto';
import { mkdtempSync, statSync, writeFileSync } from 'node:fs';
import { chown, copyFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { Context } from '../../../events.ts';
import { Failure } from '../../../failure.ts';
import type { DiskDefinition } from '../../definition.ts';
import type { RunningGuest, ViewedGuest, ViewOptions } from '../../guest-driver.ts';
import { processOf } from '../process-identity.ts';
import type { QemuHost } from './launch/host.ts';
import { QmpError, type Qmp } from './qmp/qmp.ts';
import { removeRecordings } from './recording/recordings.ts';
import { endServer } from './recording/written-extents.ts';
import { openSession, type QemuSession } from './running/session.ts';
import { Standstill } from './running/standstill.ts';
import { addFleece, insertFilter, removeView, showView, type DiskView } from './view/disk-view.ts';
import { makeFleece } from './view/fleece.ts';
import { findGuestDisk, ownerOfProcess } from './running/guest-disks.ts';
import { beginAsked, readRecording, type BegunRecording } from './view/recorded-view.ts';
import { readNote, removeNote, writeNote } from './view/view-note.ts';

/**
 * Shows a running guest's disks as they were at one instant: it is stopped only while a filter is inserted above each disk.
 * What it overwrites from then on is first copied away. See `ViewingDriver.view`.
 */
export async function viewQemu(
  guest: RunningGuest,
  options: ViewOptions,
  host: QemuHost,
  context: Context,
): Promise<ViewedGuest> {
  const { name } = guest.definition;
  if (processOf(guest) === null) throw cannotView(name, 'it no longer runs');
  const session = await openSession(guest);
  if (typeof session === 'string') throw cannotView(name, session);
  try {
    await removeLeftView(guest, session, host, context);
    const { recording } = options;
    if (recording !== null) await removeRecordings(session.qmp, recording.owner, recording.since);
    return await viewWith(session, guest, options, host, context);
  } catch (error) {
    await session[Symbol.asyncDispose]();
    throw error instanceof QmpError ? cannotView(name, error.message) : error;
  }
}

async function viewWith(
  session: QemuSession,
  guest: RunningGuest,
  options: ViewOptions,
  host: QemuHost,
  context: Context,
): Promise<ViewedGuest> {
  const { qmp } = session;
  const { name, disks } = guest.definition;
  const directory = mkdtempSync(join(tmpdir(), 'vmferry-view-'));
  const prepared: DiskView[] = [];
  const leave = async (): Promise<string | null> => {
    const left: string[] = [];
    await endServer(qmp, directory);
    for (const view of prepared) {
      const kept = await removeView(qmp, view);
      if (kept !== null) left.push(kept);
    }
    if (left.length > 0) return left.join(', ');
    await rm(directory, { recursive: true, force: true });
    await removeNote(host, name);
    return null;
  };
  try {
    const views = await prepare(session, guest, directory, prepared, host);
    const standstill = await Standstill.begin(name, session, options, host.environment, context.signal);
    const { notSynced, stoppedAt } = standstill;
    let stoppedMs: number;
    let begun: BegunRecording | null = null;
    try {
      begun = await beginAsked(qmp, prepared, views, options);
      for (const view of prepared) await insertFilter(qmp, view);
      for (const [disk, path] of variablesOf(disks, views)) await copyFile(disk.path, path);
    } finally {
      stoppedMs = await standstill.goOn();
    }
    for (const view of prepared) await showView(qmp, view);
    if (!prepared.every(({ mountpoint }) => statSync(mountpoint).size > 0)) throw notShown(name);
    const recording = begun && (await readRecording(qmp, guest, begun, directory, context));
    return {
      takenAt: stoppedAt,
      notSynced,
      stoppedMs,
      views,
      recording,
      async [Symbol.asyncDispose]() {
        const left = await leave();
        await session[Symbol.asyncDispose]();
        if (left !== null && processOf(guest) !== null) reportLeft(name, left, context);
      },
    };
  } catch (error) {
    const left = await leave();
    if (left !== null) reportLeft(name, left, context);
    await endUnread(qmp, options);
    throw error;
  }
}

/** The recording of a view that failed. */
async function endUnread(qmp: Qmp, { recording }: ViewOptions): Promise<void> {
  if (recording === null) return;
  await removeRecordings(qmp, recording.owner, recording.since).catch((error: unknown) => {
    if (!(error instanceof QmpError)) throw error;
  });
}

/** Does all that the guest need not stand still for. Returns the paths of the views. */
async function prepare(
  { qmp }: QemuSession,
  { definition: { name, disks }, identity }: RunningGuest,
  directory: string,
  prepared: DiskView[],
  host: QemuHost,
): Promise<string[]> {
  const owner = await ownerOfProcess(identity.pid ?? 0);
  if (process.geteuid?.() === 0) await chown(directory, owner.uid, owner.gid);
  const views: string[] = [];
  for (const disk of disks) {
    const mountpoint = join(directory, disk.device);
    views.push(mountpoint);
    // A file is mounted over it.
    writeFileSync(mountpoint, '', { mode: 0o600 });
    if (disk.purpose === 'uefi-variables') continue;
    const found = await findGuestDisk(qmp, disk, identity.pid ?? 0);
    if (typeof found === 'string') throw cannotView(name, found);
    const id = randomBytes(4).toString('hex');
    const fleece = await makeFleece(disk.path, found.sizeBytes, id, owner);
    const view: DiskView = { ...found, id, fleece, mountpoint };
    prepared.push(view);
    await writeNote(host, name, { run: identity.id, views: prepared, directory });
    await addFleece(qmp, view);
  }
  return views;
}

/** The variables of the firmware are small, and no device of the guest: they are copied. */
function variablesOf(disks: readonly DiskDefinition[], views: readonly string[]): [DiskDefinition, string][] {
  return disks.flatMap((disk, index): [DiskDefinition, string][] => {
    const path = views[index];
    return disk.purpose === 'uefi-variables' && path !== undefined ? [[disk, path]] : [];
  });
}

/** What a vmferry that died has left in this guest. */
async function removeLeftView(
  guest: RunningGuest,
  { qmp }: QemuSession,
  host: QemuHost,
  context: Context,
): Promise<void> {
  const { name } = guest.definition;
  const note = await readNote(host, guest);
  if (note === null) return;
  if (note.run === guest.identity.id) await endServer(qmp, note.directory);
  for (const view of note.views) {
    if (note.run !== guest.identity.id) {
      await rm(view.fleece, { force: true });
      continue;
    }
    const left = await removeView(qmp, view);
    if (left !== null) throw cannotView(name, `an earlier backup was killed, and left ${left} in it`);
  }
  await rm(note.directory, { recursive: true, force: true });
  await removeNote(host, name);
  const message = `A backup of ${name} was killed earlier. What it had inserted into the running guest has been removed.`;
  context.report({ type: 'warning', code: 'other', message });
}

function reportLeft(name: string, left: string, { report }: Context): void {
  const message = `${left} could not be taken out of the running guest ${name}; the next backup tries again.`;
  report({ type: 'warning', code: 'clean-up-incomplete', message });
}

/** A systemd unit with `PrivateTmp=` or `ProtectSystem=` gives its programs a mount namespace (systemd.exec(5)). */
function notShown(name: string): Failure {
  return cannotView(name, 'its QEMU has mounts of its own, and what it shows is not seen by vmferry');
}

function cannotView(name: string, reason: string): Failure {
  return new Failure('guest-unsupported', `The disks of ${name} cannot be read while it runs: ${reason}.`, {
    advice: 'Use --pause or --halt: the guest then stands still, or is down, while its disks are read.',
  });
}
