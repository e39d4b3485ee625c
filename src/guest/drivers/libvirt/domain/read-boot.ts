import type { Element } from '@xmldom/xmldom';
import { qemuFormats, type DiskDefinition, type GuestDefinition } from '../../../definition.ts';
import { attributeOf, find, textOf } from '../xml/elements.ts';

type Boot = Pick<GuestDefinition, 'kernel' | 'initrd' | 'commandLine' | 'boot' | 'firmware'>;

/** The slot of the UEFI variables, as QEMU counts its flash memories. */
export const NVRAM_DEVICE = 'flash1';

/** What it boots from: a kernel, BIOS or UEFI. `nvram`: the variables of UEFI, which are one disk or none. */
export function readBoot(root: Element): Boot & { nvram: readonly DiskDefinition[] } {
  const os = find(root, 'os');
  const kernel = absolute(textOf(find(os, 'kernel'))) ?? null;
  const firmware = readFirmware(os);
  return {
    kernel,
    initrd: absolute(textOf(find(os, 'initrd'))) ?? null,
    commandLine: splitCommandLine(textOf(find(os, 'cmdline')) ?? ''),
    ...(kernel === null ? { boot: 'firmware' as const } : {}),
    ...(firmware === undefined ? {} : { firmware }),
    nvram: firmware?.kind === 'uefi' ? readNvram(os) : [],
  };
}

/** BIOS is the usual firmware, and is not named unless the domain names it. */
function readFirmware(os: Element | undefined): GuestDefinition['firmware'] {
  const chosen = attributeOf(os, 'firmware');
  const loader = find(os, 'loader');
  if (chosen === 'efi' || attributeOf(loader, 'type') === 'pflash')
    return { kind: 'uefi', code: absolute(textOf(loader)) ?? null };
  return chosen === 'bios' ? { kind: 'bios' } : undefined;
}

function readNvram(os: Element | undefined): DiskDefinition[] {
  const nvram = find(os, 'nvram');
  const path = absolute(attributeOf(find(nvram, 'source'), 'file') ?? textOf(nvram));
  if (path === undefined) return [];
  const named = attributeOf(nvram, 'format') ?? attributeOf(find(os, 'loader'), 'format') ?? 'raw';
  const format = qemuFormats.find((one) => one === named && one !== 'raw');
  return [
    {
      device: NVRAM_DEVICE,
      path,
      readOnly: false,
      ...(format === undefined ? {} : { format }),
      purpose: 'uefi-variables',
    },
  ];
}

/** The kernel splits its command line at blanks outside double quotes (next_arg() in lib/cmdline.c). */
function splitCommandLine(text: string): string[] {
  return text.match(/(?:"[^"]*"?|[^"\s])+/g) ?? [];
}

export function absolute(path: string | undefined): string | undefined {
  return path?.startsWith('/') === true ? path : undefined;
}
