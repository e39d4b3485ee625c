import type { DiskBus, DiskDefinition, GuestDefinition, RemovableDrive } from '../../../definition.ts';
import { DiskSpecError, parseDiskSpec, type DiskSpec } from './disk-spec.ts';
import type { Atom } from './parse.ts';
import type { ReadPart } from './read-part.ts';
import type { Settings } from './settings.ts';

type DiskFields = Pick<GuestDefinition, 'disks' | 'drives'>;

/** One item of the list `disk`, with its place. */
export interface ReadDisk {
  item: Atom;
  spec: DiskSpec;
}

/** The disks that are right. What is wrong with the others is noted in `settings`. */
export function readDiskSpecs(settings: Settings): ReadDisk[] {
  return settings.atoms('disk').flatMap((item) => {
    try {
      return [{ item, spec: parseDiskSpec(item.text) }];
    } catch (error) {
      if (!(error instanceof DiskSpecError)) throw error;
      settings.complain(item.line, `the disk “${item.text}”: ${error.message}`);
      return [];
    }
  });
}

/** The disks, and the drives whose media do not move. */
export function readDisks(settings: Settings, isHvm: boolean): ReadPart<DiskFields> {
  const disks: DiskDefinition[] = [];
  const drives: RemovableDrive[] = [];
  const beyond: string[] = [];
  const devices = new Set<string>();
  for (const { item, spec } of readDiskSpecs(settings)) {
    const complain = (message: string) => settings.complain(item.line, `the disk “${item.text}”: ${message}`);
    const path = pathOf(spec);
    if (!/^[A-Za-z0-9]{1,32}$/.test(spec.vdev)) complain(`${spec.vdev} is no device that xl knows`);
    else if (devices.has(spec.vdev)) complain(`the device ${spec.vdev} is there twice`);
    else if (path === null) complain('a script or another domain provides it: there is no path');
    else if (path !== '' && !path.startsWith('/'))
      complain('its path is relative, and depends on where xl is started');
    else if (spec.isCdrom)
      drives.push({
        device: spec.vdev,
        kind: 'cdrom',
        bus: busOf(spec.vdev, isHvm),
        path: path === '' ? null : path,
      });
    else if (path === '') complain('it has no target');
    else if (spec.format === 'qcow' || spec.format === 'qed' || spec.format === 'empty')
      complain(`vmferry does not know the format ${spec.format}`);
    else disks.push(diskOf(spec, path, isHvm));
    devices.add(spec.vdev);
    for (const other of spec.others.filter((one) => !one.startsWith('backendtype=')))
      beyond.push(`line ${item.line}: ${other} of the disk ${spec.vdev}`);
  }
  return {
    fields: { disks, ...(drives.length === 0 ? {} : { drives }) },
    understood: ['disk'],
    beyond,
  };
}

function diskOf(spec: DiskSpec, path: string, isHvm: boolean): DiskDefinition {
  const format = spec.format === 'qcow2' ? 'qcow2' : spec.format === 'vhd' ? 'vpc' : undefined;
  return {
    device: spec.vdev,
    path,
    readOnly: spec.isReadOnly,
    ...(format === undefined ? {} : { format }),
    bus: busOf(spec.vdev, isHvm),
  };
}

/** Null where the target is not a path. xm and Xen's block script take `phy:vg0/web` for /dev/vg0/web. */
export function pathOf(spec: DiskSpec): string | null {
  const isElsewhere = spec.others.some((one) => /^(?:script=.|backend=.|(?:iscsi|e?nbd|drbd):)/.test(one));
  if (isElsewhere) return null;
  const { target, prefixes } = spec;
  return prefixes.includes('phy:') && target !== '' && !target.startsWith('/') ? `/dev/${target}` : target;
}

/** xen-vbd-interface(7): without hardware emulation, each disk is Xen's own, whatever it is called. */
function busOf(device: string, isHvm: boolean): DiskBus {
  if (!isHvm) return 'xen';
  if (device.startsWith('hd')) return 'ide';
  return device.startsWith('sd') ? 'scsi' : 'xen';
}
