import { stat } from 'node:fs/promises';
import { fileIdentity } from '../../../../system/file-identity.ts';
import type { DiskDefinition } from '../../../definition.ts';
import { asObject, type Qmp } from '../qmp/qmp.ts';
import { qemuInvocation, resolvePath } from './qemu-process.ts';

/** A disk of a running guest as its QEMU has it. */
export interface GuestDisk {
  /** What the guest's device uses now. */
  node: string;
  /** The device's path among QEMU's objects. */
  device: string;
  /** Of the disk that the guest sees. */
  sizeBytes: number;
}

/**
 * The disk's device and node; otherwise why it has none, as the end of a sentence. Source: QEMU's qapi/block-core.json.
 * @param pid of the guest's QEMU
 */
export async function findGuestDisk(
  qmp: Qmp,
  { path }: DiskDefinition,
  pid: number,
): Promise<GuestDisk | string> {
  const invocation = qemuInvocation(pid);
  const wanted = await fileIdentity(path);
  const answer = await qmp.execute('query-block');
  for (const entry of Array.isArray(answer) ? answer : []) {
    const device = asObject(entry);
    const inserted = asObject(device?.['inserted']);
    const image = asObject(inserted?.['image']);
    const named = image?.['filename'];
    if (typeof named !== 'string' || invocation === null) continue;
    // As it was given. The file of an address such as nbd: is none.
    const file = resolvePath(named, pid, invocation);
    if (file === null || wanted === null || (await fileIdentity(file)) !== wanted) continue;
    const [node, qdev, size] = [inserted?.['node-name'], device?.['qdev'], image?.['virtual-size']];
    if (typeof node !== 'string' || typeof qdev !== 'string' || typeof size !== 'number') break;
    return { node, device: objectPath(qdev), sizeBytes: size };
  }
  return `its QEMU does not name the device of ${path}`;
}

/** An id, or a path of which the last part may be the back end of a virtio device. */
function objectPath(qdev: string): string {
  return qdev.startsWith('/') ? qdev.replace(/\/virtio-backend$/, '') : `/machine/peripheral/${qdev}`;
}

/** Whose process it is: files that QEMU writes to must be its account's. */
export async function ownerOfProcess(pid: number): Promise<{ uid: number; gid: number }> {
  return stat(`/proc/${pid}`);
}
