import { rm } from 'node:fs/promises';
import { QmpError, type Qmp } from '../qmp/qmp.ts';
import { awaitExportGone, removeFrozen } from '../recording/recordings.ts';
import type { GuestDisk } from '../running/guest-disks.ts';

/**
 * What is inserted into a guest's graph of block nodes for one view, in order. The names are vmferry's, and at most 31
 * characters long. Plain JSON: it is noted in a file before anything is inserted.
 */
export interface DiskView extends GuestDisk {
  /** Ends all names. */
  id: string;
  /** The file that takes what the guest overwrites. */
  fleece: string;
  /** The path where the view appears. */
  mountpoint: string;
}

const CLUSTER_BYTES = 65_536;

export const nodeNames = (id: string) => ({
  /** See `RecordedDisk.frozen`. */
  changes: `vmferry-changes-${id}`,
  fleece: `vmferry-fleece-${id}`,
  filter: `vmferry-filter-${id}`,
  view: `vmferry-view-${id}`,
  limit: `vmferry-limit-${id}`,
});

/** The guest runs. */
export async function addFleece(qmp: Qmp, { id, fleece }: DiskView): Promise<void> {
  await qmp.execute('blockdev-add', { driver: 'file', 'node-name': nodeNames(id).fleece, filename: fleece });
}

/**
 * From here on, what the guest overwrites is first copied to the fleece. If that fails, the view breaks, and not the
 * guest's write. To be called while the guest is stopped.
 */
export async function insertFilter(qmp: Qmp, { id, node, device }: DiskView): Promise<void> {
  const names = nodeNames(id);
  await qmp.execute('blockdev-add', {
    driver: 'copy-before-write',
    'node-name': names.filter,
    file: node,
    target: names.fleece,
    'on-cbw-error': 'break-snapshot',
  });
  await qmp.execute('qom-set', { path: device, property: 'drive', value: names.filter });
}

/** Shows the disk as it was when the filter was inserted, as a file. */
export async function showView(qmp: Qmp, { id, mountpoint }: DiskView): Promise<void> {
  const names = nodeNames(id);
  await qmp.execute('blockdev-add', {
    driver: 'snapshot-access',
    'node-name': names.view,
    file: names.filter,
  });
  // QEMU 7.2 answers a read that begins in a copied cluster and ends in another with what the guest wrote later. So each
  // read is split into whole clusters (64 KiB, as the file above has no clusters of its own).
  await qmp.execute('blockdev-add', {
    driver: 'blkdebug',
    'node-name': names.limit,
    image: names.view,
    align: CLUSTER_BYTES,
    'max-transfer': CLUSTER_BYTES,
  });
  await qmp.execute('block-export-add', {
    type: 'fuse',
    id: names.view,
    'node-name': names.limit,
    mountpoint,
    writable: false,
  });
}

/**
 * Takes all of it out again, as far as it is there. Returns what could not be taken out, or null.
 * Never aborted, and may be called again.
 */
export async function removeView(qmp: Qmp, view: DiskView): Promise<string | null> {
  const names = nodeNames(view.id);
  try {
    await removeFrozen(qmp, { node: view.node, frozen: names.changes });
    await qmp.tryExecute('block-export-del', { id: names.view, mode: 'hard' });
    await awaitExportGone(qmp, names.view);
    await qmp.tryExecute('blockdev-del', { 'node-name': names.limit });
    await qmp.tryExecute('blockdev-del', { 'node-name': names.view });
    await qmp.tryExecute('qom-set', { path: view.device, property: 'drive', value: view.node });
    await qmp.tryExecute('blockdev-del', { 'node-name': names.filter });
    await qmp.tryExecute('blockdev-del', { 'node-name': names.fleece });
    const left = await nodesLeft(qmp, Object.values(names));
    if (left.length > 0) return left.join(', ');
  } catch (error) {
    if (!(error instanceof QmpError)) throw error;
    return error.message;
  }
  await rm(view.fleece, { force: true });
  return null;
}

async function nodesLeft(qmp: Qmp, names: readonly string[]): Promise<string[]> {
  const nodes = await qmp.execute('query-named-block-nodes', { flat: true });
  const found = Array.isArray(nodes) ? nodes.map((node: { 'node-name'?: unknown }) => node['node-name']) : [];
  return names.filter((name) => found.includes(name));
}
