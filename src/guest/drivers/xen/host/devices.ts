import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { basename } from 'node:path';

/** A disk that the control domain's kernel serves to a domain (xen-blkback). */
export interface ServedDisk {
  /** `8:1`, as sysfs writes numbers of devices. */
  deviceNumber: string;
  /** `loop0`, `dm-3`, `sda1`; null if the device is gone. */
  deviceName: string | null;
  isLoop: boolean;
  /** Whether the guest's kernel has connected to it. */
  isConnected: boolean;
}

const backends = '/sys/bus/xen-backend/devices';
/** As the kernel's xenbus_strstate() has it. */
const connected = 'Connected';
const loopMajor = '7';

/** The disks that the kernel serves to this domain. Source: sysfs, Documentation/ABI/testing/sysfs-driver-xen-blkback. */
export function servedDisks(domid: number): ServedDisk[] {
  return namesOfBackends()
    .filter((name) => name.startsWith(`vbd-${domid}-`))
    .flatMap((name) => {
      // Major and minor, in hexadecimal digits.
      const [major = '', minor = ''] = textOf(`${backends}/${name}/physical_device`).split(':');
      if (minor === '') return [];
      const deviceNumber = `${Number.parseInt(major, 16)}:${Number.parseInt(minor, 16)}`;
      const isConnected = textOf(`${backends}/${name}/state`) === connected;
      return [
        {
          deviceNumber,
          deviceName: deviceName(deviceNumber),
          isLoop: deviceNumber.startsWith(`${loopMajor}:`),
          isConnected,
        },
      ];
    });
}

/** What the device has read and written so far, and what it has to do; equal texts mean that nothing happened between. */
export function activityOf({ deviceNumber }: ServedDisk): { counts: string; isBusy: boolean } {
  const directory = `/sys/dev/block/${deviceNumber}`;
  const inFlight = textOf(`${directory}/inflight`).split(/\s+/).map(Number);
  return { counts: textOf(`${directory}/stat`), isBusy: inFlight.some((count) => count > 0) };
}

function deviceName(deviceNumber: string): string | null {
  try {
    return basename(realpathSync(`/sys/dev/block/${deviceNumber}`));
  } catch {
    return null;
  }
}

function namesOfBackends(): string[] {
  try {
    return readdirSync(backends);
  } catch {
    return [];
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}
