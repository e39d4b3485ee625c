import type { Context } from '../../../events.ts';
import type { ImageUser } from '../../../image/usage/usage.ts';
import { readInvocation } from '../../../system/proc-process.ts';
import type { RunningGuest } from '../../guest-driver.ts';
import { servedDisks } from './host/devices.ts';
import { listDomains } from './host/domains.ts';
import type { XenHost } from './host/host.ts';
import { domidOfRun } from './identity.ts';

/**
 * The users of an image that do not belong to this domain. What does belong to it: the loop devices that the kernel serves to it,
 * its claim on a block device, and the QEMU that serves it an image in another format. A domain itself is no process here.
 */
export async function usersBesidesDomain(
  guest: RunningGuest,
  users: readonly ImageUser[],
  host: XenHost,
  context: Pick<Context, 'signal'>,
): Promise<readonly ImageUser[]> {
  const domid = domidOfRun(guest);
  if (domid === null || users.length === 0) return users;
  const served = servedDisks(domid);
  const isQemuOurs = users.some(isQemu) && (await hasQemuToItself(domid, host, context));
  const isOwn = (user: ImageUser): boolean => {
    if (user.kind === 'loop-device')
      return served.some(({ deviceName }) => user.name === `/dev/${deviceName}`);
    // A claim without another sign is that of the kernel's part of Xen, while it serves a device.
    if (user.kind === 'holder' && user.name === 'kernel') return served.some(({ isLoop }) => !isLoop);
    const qemuDomid = domidOfQemu(user);
    return qemuDomid === domid || (qemuDomid === 0 && isQemuOurs);
  };
  return users.filter((user) => !isOwn(user));
}

/** Whether the control domain's QEMU, which serves all domains, has no image of this domain that another one uses, too. */
async function hasQemuToItself(
  domid: number,
  host: XenHost,
  context: Pick<Context, 'signal'>,
): Promise<boolean> {
  const domains = await listDomains(host, context);
  const pathsOf = (isOwn: boolean): string[] =>
    domains
      .filter((domain) => (domain.domid === domid) === isOwn)
      .flatMap(({ config }) => (config.disks ?? []).map(({ pdev_path }) => pdev_path ?? ''));
  const others = new Set(pathsOf(false));
  const own = pathsOf(true).filter((path) => path !== '');
  return own.length > 0 && own.every((path) => !others.has(path));
}

function isQemu(user: ImageUser): boolean {
  return domidOfQemu(user) !== null;
}

/** The domain that a QEMU of Xen works for; 0 for that of the control domain. Null for any other process. */
function domidOfQemu({ pid }: ImageUser): number | null {
  const argv = pid === undefined ? [] : (readInvocation(pid)?.argv ?? []);
  const at = argv.indexOf('-xen-domid');
  const domid = Number(argv[at + 1]);
  return at > 0 && Number.isInteger(domid) ? domid : null;
}
