import { existsSync, readdirSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { Failure } from '../../../failure.ts';
import { command, here, placed, type PlacedText } from '../../../placed-text.ts';
import type { GuestDefinition } from '../../definition.ts';
import { readNamedFiles } from './config/named-files.ts';
import { virtualizationOf } from './config/write.ts';
import type { XenHost } from './host/host.ts';

/**
 * What the guest's configuration names beside disks, kernel and bridges, and the control domain does not have: `xl create -n` does not look
 * for it. Also the QEMU and the firmware that some guests need.
 * @param text the configuration
 * @param root of the control domain's file system
 */
export function checkNamed(
  definition: GuestDefinition,
  text: string,
  { configDirectory }: Pick<XenHost, 'configDirectory'>,
  root = '/',
): Failure[] {
  const { files, scripts, pciDevices } = readNamedFiles(text);
  const missing = (what: string, line: number): Failure =>
    problem(
      placed`${what} is not ${here} (line ${line} of the configuration of ${definition.name}).`,
      'Provide it, or take it out of the configuration.',
    );
  const scriptPath = (name: string) => (isAbsolute(name) ? name : join(configDirectory, 'scripts', name));
  return [
    ...files.filter(({ path }) => !existsSync(path)).map(({ path, line }) => missing(path, line)),
    ...scripts
      .filter(({ name }) => !existsSync(scriptPath(name)))
      .map(({ name, line }) => missing(`The script ${scriptPath(name)}`, line)),
    ...pciDevices
      .filter(({ address }) => !existsSync(join(root, 'sys/bus/pci/devices', address)))
      .map(({ address, line }) => missing(`The device ${address}`, line)),
    ...missingPrograms(
      definition,
      files.some(({ key }) => key === 'device_model_override'),
      root,
    ),
  ];
}

function missingPrograms(definition: GuestDefinition, hasOwnQemu: boolean, root: string): Failure[] {
  const isHvm = virtualizationOf(definition) === 'hvm';
  const served = definition.disks.find(({ format = 'raw' }) => format !== 'raw');
  const problems: Failure[] = [];
  if ((isHvm || served !== undefined) && !hasOwnQemu && !isThere(deviceModels, root))
    problems.push(
      problem(
        isHvm
          ? placed`${definition.name} is a guest of the type hvm, which needs a QEMU for Xen, and there is none ${here}.`
          : placed`${served?.path ?? ''} has the format ${served?.format ?? ''}, for which Xen needs a QEMU, and there is none ${here}.`,
        placed`On Debian: \`${command('apt-get', 'install', 'qemu-system-xen')}\`.${isHvm ? '' : ' Or give the guest a raw disk: --format raw'}`,
      ),
    );
  if (isHvm && !isThere(loaders, root))
    problems.push(
      problem(
        placed`${definition.name} is a guest of the type hvm, and Xen’s hvmloader is not ${here}.`,
        'On Debian it is in xen-utils-*.',
      ),
    );
  return problems;
}

/** Where Debian, Fedora, and Xen's own build have them. `xen*`: also with a version. */
const deviceModels = [
  'usr/libexec/xen-qemu-system-i386',
  'usr/lib/xen*/bin/qemu-system-i386',
  'usr/libexec/xen/bin/qemu-system-i386',
  'usr/local/lib/xen/bin/qemu-system-i386',
  'usr/local/libexec/xen/bin/qemu-system-i386',
  'usr/bin/qemu-system-i386',
  'usr/bin/qemu-system-x86_64',
];
const loaders = [
  'usr/lib/xen*/boot/hvmloader',
  'usr/libexec/xen/boot/hvmloader',
  'usr/local/lib/xen/boot/hvmloader',
  'usr/local/libexec/xen/boot/hvmloader',
];

function isThere(places: readonly string[], root: string): boolean {
  return places.some((place) => {
    const [before, after] = place.split('xen*');
    if (before === undefined || after === undefined) return existsSync(join(root, place));
    const directory = join(root, before);
    const names = existsSync(directory)
      ? readdirSync(directory).filter((name) => name.startsWith('xen'))
      : [];
    return names.some((name) => existsSync(join(directory, name, after)));
  });
}

function problem(message: PlacedText, advice: PlacedText | string): Failure {
  return new Failure('hypervisor-missing', message, { advice });
}
