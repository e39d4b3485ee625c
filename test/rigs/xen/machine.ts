import { join } from 'node:path';
import { startQemu, type QemuProcess } from '../base/qemu-process.ts';
import type { Dom0Build } from './dom0-build.ts';

export const EXTRA_DISK_BYTES = 2 ** 30;
export const PROGRAM_DISK_BYTES = 256 * 2 ** 20;

/** Of the machine; dom0 has half of it. */
const MEMORY_MIB = 1024;

export interface MachineDisks {
  /** dom0's root, qcow2. */
  root: string;
  /** The program that is tested, raw. */
  program: string;
  /** /dev/vdc in dom0, raw. */
  extra: string;
}

/** Guards against faults of processors, which an emulated one lacks, and which are slow. */
const xenArguments =
  'console=com1 com1=115200,8n1 dom0_mem=512M,max:512M xpti=no spec-ctrl=no no-real-mode loglvl=warning guest_loglvl=warning';
/** No comma: it would end the module's line. */
const dom0Arguments = 'root=/dev/vda ro console=hvc0 quiet mitigations=off net.ifnames=0 random.trust_cpu=on';

/** Starts the machine. `qmpFile` and dom0's ssh on `port` of 127.0.0.1 come with it. A saved machine needs the same one. */
export function startMachine(
  directory: string,
  { hypervisor, kernel }: Dom0Build,
  disks: MachineDisks,
  port: number,
  stateFile: string | null = null,
): Promise<QemuProcess> {
  const drive = (file: string, format: string) => [
    '-drive',
    `file=${file},if=virtio,format=${format},cache=unsafe,discard=unmap`,
  ];
  return startQemu(directory, [
    '-cpu',
    'qemu64,+svm,+npt',
    '-machine',
    'pc,usb=off',
    '-m',
    String(MEMORY_MIB),
    '-kernel',
    hypervisor,
    '-append',
    xenArguments,
    '-initrd',
    `${kernel.kernel} ${dom0Arguments},${kernel.initrd}`,
    ...drive(disks.root, 'qcow2'),
    ...drive(disks.program, 'raw'),
    ...drive(disks.extra, 'raw'),
    '-netdev',
    `user,id=net0,dhcpstart=10.0.2.50,hostfwd=tcp:127.0.0.1:${port}-10.0.2.10:22`,
    '-device',
    'virtio-net-pci,netdev=net0',
    '-device',
    'virtio-rng-pci',
    '-qmp',
    `unix:${qmpFile(directory)},server=on,wait=off`,
    ...(stateFile === null ? [] : ['-incoming', `exec:zstd -dcq '${stateFile}'`]),
  ]);
}

export function qmpFile(directory: string): string {
  return join(directory, 'qmp');
}
