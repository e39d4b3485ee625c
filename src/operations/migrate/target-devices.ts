import type { Context } from '../../events.ts';
import { formatBytes } from '../../figures.ts';
import type { DeviceThere } from './migration-report.ts';

/** Before anything is touched: what becomes of the device. */
export function tellOfDevice(
  { path, sizeBytes, holds }: DeviceThere,
  imageBytes: number,
  destination: string,
  { report }: Context,
): void {
  const restBytes = sizeBytes - imageBytes;
  const rest = restBytes > 0 ? ` Its last ${formatBytes(restBytes)} stay as they are.` : '';
  const device = `${path} on ${destination} (${formatBytes(sizeBytes)})`;
  if (holds.length === 0) {
    const message = `${device} is overwritten. Nothing was recognised on it.${rest}`;
    report({ type: 'notice', message });
    return;
  }
  const message = `${device} holds ${holds.join(', ')}: this is overwritten, and lost even if the move fails later.${rest}`;
  report({ type: 'warning', code: 'device-overwritten', message });
}

/** The paths, without those of devices: only files may be removed there. */
export function filesAmong(paths: readonly string[], devices: readonly DeviceThere[]): string[] {
  return paths.filter((path) => devices.every((device) => device.path !== path));
}

/** The devices that the move has begun to write to. */
export function overwrittenDevices(
  devices: readonly DeviceThere[],
  begunPaths: readonly string[],
): DeviceThere[] {
  return devices.filter(({ path }) => begunPaths.includes(path));
}

/** After a failure. Unlike a file, the device cannot be put back. */
export function tellOverwritten({ path }: DeviceThere, destination: string, { report }: Context): void {
  const message = `${path} on ${destination} was overwritten by this move, in part or as a whole: what it held before is lost. To move onto it again, add --overwrite.`;
  report({ type: 'warning', code: 'device-overwritten', message });
}
