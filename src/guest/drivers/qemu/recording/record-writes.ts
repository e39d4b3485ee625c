import { randomBytes } from 'node:crypto';
import { chown, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { Context } from '../../../../events.ts';
import { errorCode } from '../../../../system/error-code.ts';
import type { DiskDefinition } from '../../../definition.ts';
import type { Recording, RecordingRequest, RunningGuest } from '../../../guest-driver.ts';
import { processOf } from '../../process-identity.ts';
import { QmpError, type Qmp } from '../qmp/qmp.ts';
import { openSession } from '../running/session.ts';
import { findGuestDisk, ownerOfProcess } from '../running/guest-disks.ts';
import {
  beginRecording,
  bitmapName,
  removeFrozen,
  removeRecordings,
  type RecordedDisk,
} from './recordings.ts';
import { readWritten } from './written-extents.ts';

/** See `RecordingDriver.record`. */
export async function recordWrites(
  guest: RunningGuest,
  request: RecordingRequest,
  context: Context,
): Promise<Recording | null> {
  if (processOf(guest) === null) return null;
  // By another process than QEMU, in which the guest waits for it, and before others wait for this session.
  for (const disk of guest.definition.disks) if (hasTables(disk)) await syncFile(disk.path);
  const session = await openSession(guest);
  if (typeof session === 'string') return null;
  await using opened = session;
  return await recordWith(opened.qmp, guest, request, context);
}

/** The same, of a guest that may have ended in its QEMU. */
export async function recordWith(
  qmp: Qmp,
  guest: RunningGuest,
  request: RecordingRequest,
  context: Context,
): Promise<Recording | null> {
  let directory: string | null = null;
  try {
    directory = await mkdtemp(join(tmpdir(), 'vmferry-recording-'));
    const owner = await ownerOfProcess(guest.identity.pid ?? 0);
    // QEMU makes a socket in it.
    if (process.geteuid?.() === 0) await chown(directory, owner.uid, owner.gid);
    return await recordIn(directory, qmp, guest, request, context);
  } catch (error) {
    context.signal.throwIfAborted();
    // QEMU refuses it, or the system does: /tmp may be full, or the guest's process gone.
    if (error instanceof QmpError || errorCode(error) !== '') return null;
    throw error;
  } finally {
    if (directory !== null) await rm(directory, { recursive: true, force: true });
  }
}

async function recordIn(
  directory: string,
  qmp: Qmp,
  guest: RunningGuest,
  request: RecordingRequest,
  { signal, report }: Context,
): Promise<Recording | null> {
  const { owner } = request;
  const { name, disks } = guest.definition;
  const id = newId();
  const recorded = await recordedDisks(qmp, guest, owner);
  const earlier = await beginRecording(qmp, recorded, request, id);
  if (earlier === null) return null;
  const written = await readWritten(qmp, earlier, directory, signal);
  for (const disk of earlier) await removeFrozen(qmp, disk);
  if (!(await writeOutTables(qmp, guest, recorded))) {
    await removeRecordings(qmp, owner, null);
    return null;
  }
  await removeRecordings(qmp, owner, id);
  if (typeof written !== 'string')
    return { id, written: disks.map((_, index) => written.get(index) ?? null) };
  const message = `QEMU has recorded what ${name} writes, but that cannot be read: ${written}.`;
  if (request.isTold !== true) report({ type: 'notice', message });
  return { id, written: disks.map(() => null), isUnreadable: true };
}

const newId = () => randomBytes(8).toString('hex');

/** A frozen bitmap that a killed vmferry leaves counts as a recording of the owner's, and is removed with those. */
async function recordedDisks(
  qmp: Qmp,
  { definition: { disks }, identity }: RunningGuest,
  owner: string,
): Promise<RecordedDisk[]> {
  const found: RecordedDisk[] = [];
  const frozenId = newId();
  for (const [index, disk] of disks.entries()) {
    const known = await findGuestDisk(qmp, disk, identity.pid ?? 0);
    if (typeof known === 'string') continue;
    found.push({ ...known, index, frozen: bitmapName(owner, frozenId, index) });
  }
  return found;
}

/**
 * Of an image that is not raw, QEMU keeps parts of its tables in memory: without them, what the guest has written is not found in the
 * image. False when QEMU does not write them out.
 */
async function writeOutTables(
  qmp: Qmp,
  { definition: { disks } }: RunningGuest,
  recorded: readonly RecordedDisk[],
): Promise<boolean> {
  for (const { node, index } of recorded) {
    const disk = disks[index];
    if (disk === undefined || !hasTables(disk)) continue;
    // QMP has no command for it. A monitor for people that has nothing to complain of prints nothing.
    const answer = await qmp.execute('human-monitor-command', { 'command-line': `qemu-io ${node} flush` });
    if (answer !== '') return false;
  }
  return true;
}

const hasTables = ({ format = 'raw' }: DiskDefinition) => format !== 'raw';

/** As far as that is possible: what is written out now need not be written while the guest waits. */
async function syncFile(path: string): Promise<void> {
  try {
    await using file = await open(path, 'r');
    await file.datasync();
  } catch (error) {
    if (errorCode(error) === '') throw error;
  }
}

/** See `RecordingDriver.endRecordings`. */
export async function endRecordings(guest: RunningGuest, owner: string, kept: string | null): Promise<void> {
  if (processOf(guest) === null) return;
  const session = await openSession(guest);
  if (typeof session === 'string') return;
  try {
    await removeRecordings(session.qmp, owner, kept);
  } catch (error) {
    if (!(error instanceof QmpError)) throw error;
  } finally {
    await session[Symbol.asyncDispose]();
  }
}
