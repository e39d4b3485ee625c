import type { Element } from '@xmldom/xmldom';
import type { GuestDefinition } from '../../../definition.ts';
import { find } from '../xml/elements.ts';
import { append, ensure, remove, setAttributes, setChildText, setText } from '../xml/edit.ts';
import { NVRAM_DEVICE } from './read-boot.ts';

/** Makes `<os>` boot what the definition boots. `before`: what it says now; null for a new domain. */
export function setBoot(os: Element, before: GuestDefinition | null, after: GuestDefinition): void {
  setChildText(os, 'kernel', after.kernel ?? undefined);
  setChildText(os, 'initrd', after.initrd ?? undefined);
  // libvirt refuses a command line without a kernel.
  const commandLine = after.kernel === null || after.commandLine.length === 0 ? undefined : after.commandLine;
  if (JSON.stringify(before?.commandLine) !== JSON.stringify(commandLine ?? []))
    setChildText(os, 'cmdline', commandLine?.join(' '));
  if (JSON.stringify(before?.firmware) !== JSON.stringify(after.firmware)) setFirmware(os, after);
  setVariables(os, before, after);
}

function setFirmware(os: Element, { firmware }: GuestDefinition): void {
  const loader = find(os, 'loader');
  if (loader !== undefined) remove(loader);
  const isChosen = firmware?.kind === 'uefi' && firmware.code === null;
  setAttributes(os, { firmware: isChosen ? 'efi' : firmware?.kind === 'bios' ? 'bios' : undefined });
  if (firmware?.kind === 'uefi' && firmware.code !== null)
    append(os, 'loader', { readonly: 'yes', type: 'pflash' }, firmware.code);
}

/** Without a file of variables, libvirt makes one of the template. */
function setVariables(os: Element, before: GuestDefinition | null, after: GuestDefinition): void {
  const variables = variablesOf(after);
  const old = before === null ? undefined : variablesOf(before);
  if (variables?.path === old?.path && variables?.format === old?.format) return;
  const nvram = find(os, 'nvram');
  if (variables === undefined) {
    if (nvram !== undefined) remove(nvram);
    return;
  }
  const element = nvram ?? ensure(os, 'nvram');
  setAttributes(element, { type: undefined, format: variables.format });
  setText(element, variables.path);
}

export function variablesOf({ disks }: Pick<GuestDefinition, 'disks'>) {
  return disks.find(({ purpose, device }) => purpose === 'uefi-variables' || device === NVRAM_DEVICE);
}
