import { chunkGridFor } from '../../../../chunk/chunk-grid.ts';
import { poll } from '../../../../pipeline/polling.ts';
import type { RecordingRequest } from '../../../guest-driver.ts';
import { asObject, QmpError, type Qmp } from '../qmp/qmp.ts';
import type { GuestDisk } from '../running/guest-disks.ts';

/*
 * A recording is a dirty bitmap on the node of each disk, in QEMU's memory alone. OWNER and ID are parts of its name. It is read from a
 * copy of it that no longer changes.
 */

const exportTimeoutMs = 10_000;
const intervalMs = 20;

/** A disk of which the writes are recorded. */
export interface RecordedDisk extends Pick<GuestDisk, 'node' | 'sizeBytes'> {
  /** The disk's index in the guest's definition. */
  index: number;
  /** The name of a copy of its bitmap that no longer changes, and of what shows it. */
  frozen: string;
}

export interface Bitmap {
  node: string;
  name: string;
  /** Bytes that are dirty, in whole granules. */
  dirtyBytes: number;
  granularityBytes: number;
  /** QEMU records all writes in it, and knows of no gap. */
  isComplete: boolean;
}

const ownName = /^vmferry-([0-9a-f]{32})-([0-9a-f]{16})-(\d{1,4})$/;

/** @param id 16 hex digits */
export const bitmapName = (owner: string, id: string, index: number) => `vmferry-${owner}-${id}-${index}`;

/** All bitmaps of this QEMU. Source: BlockDirtyInfo in QEMU's qapi/block-core.json. */
export async function listBitmaps(qmp: Qmp): Promise<Bitmap[]> {
  const nodes = await qmp.execute('query-named-block-nodes', { flat: true });
  const found: Bitmap[] = [];
  for (const entry of Array.isArray(nodes) ? nodes : []) {
    const node = asObject(entry);
    const bitmaps = node?.['dirty-bitmaps'];
    for (const one of Array.isArray(bitmaps) ? bitmaps : []) {
      const bitmap = asObject(one);
      const [nodeName, name, count, granularity] = [
        node?.['node-name'],
        bitmap?.['name'],
        bitmap?.['count'],
        bitmap?.['granularity'],
      ];
      if (typeof nodeName !== 'string' || typeof name !== 'string') continue;
      if (typeof count !== 'number' || typeof granularity !== 'number') continue;
      const isComplete =
        bitmap?.['recording'] === true && bitmap['busy'] !== true && bitmap['inconsistent'] !== true;
      found.push({ node: nodeName, name, dirtyBytes: count, granularityBytes: granularity, isComplete });
    }
  }
  return found;
}

/** Removes the recordings of an owner, except one. */
export async function removeRecordings(qmp: Qmp, owner: string, kept: string | null): Promise<void> {
  for (const { node, name } of await listBitmaps(qmp)) {
    const [, itsOwner, id] = ownName.exec(name) ?? [];
    if (itsOwner === owner && id !== kept) await qmp.tryExecute('block-dirty-bitmap-remove', { node, name });
  }
}

/**
 * Begins a recording, and freezes copies of the earlier one, in one step: all or nothing, and at one moment for all disks, since QEMU
 * lets no disk write during a transaction. Returns the disks that have a frozen copy; null when QEMU refuses it.
 */
export async function beginRecording(
  qmp: Qmp,
  disks: readonly RecordedDisk[],
  { owner, since }: RecordingRequest,
  id: string,
): Promise<RecordedDisk[] | null> {
  const present = await listBitmaps(qmp);
  const begun: RecordedDisk[] = [];
  const actions: { type: string; data: object }[] = [];
  for (const disk of disks) {
    const { node, sizeBytes, index, frozen: name } = disk;
    const granularity = chunkGridFor(sizeBytes).chunkBytes;
    actions.push({
      type: 'block-dirty-bitmap-add',
      data: { node, name: bitmapName(owner, id, index), granularity, persistent: false },
    });
    const before = since === null ? null : bitmapName(owner, since, index);
    const earlier = present.find((one) => one.node === node && one.name === before);
    if (earlier?.isComplete !== true) continue;
    actions.push(
      {
        type: 'block-dirty-bitmap-add',
        data: { node, name, granularity: earlier.granularityBytes, persistent: false, disabled: true },
      },
      { type: 'block-dirty-bitmap-merge', data: { node, target: name, bitmaps: [earlier.name] } },
    );
    begun.push(disk);
  }
  try {
    await qmp.execute('transaction', { actions });
    return begun;
  } catch (error) {
    if (error instanceof QmpError && error.errorClass !== null) return null;
    throw error;
  }
}

/** Removes the frozen copy of a disk's bitmap, as far as it is there. */
export async function removeFrozen(
  qmp: Qmp,
  { node, frozen }: Pick<RecordedDisk, 'node' | 'frozen'>,
): Promise<void> {
  if ((await qmp.tryExecute('block-export-del', { id: frozen, mode: 'hard' })) !== null)
    await awaitExportGone(qmp, frozen);
  await qmp.tryExecute('block-dirty-bitmap-remove', { node, name: frozen });
}

export async function awaitExportGone(qmp: Qmp, id: string): Promise<void> {
  const { signal } = new AbortController();
  await poll(
    async () => {
      const exports = await qmp.execute('query-block-exports');
      return !(Array.isArray(exports) && exports.some((one: { id?: unknown }) => one.id === id));
    },
    { timeoutMs: exportTimeoutMs, intervalMs, signal },
  );
}
