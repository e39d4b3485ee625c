import { isDeepStrictEqual } from 'node:util';
import { Failure } from '../../../../failure.ts';
import type { GuestDefinition } from '../../../definition.ts';
import { TextEdits } from './edits.ts';
import { parseConfig } from './parse.ts';
import { readXenConfig, type ReadConfig } from './read.ts';
import { readDiskSpecs } from './read-disks.ts';
import { rewriteCards } from './rewrite-cards.ts';
import { rewriteDisks } from './rewrite-disks.ts';
import { Settings } from './settings.ts';
import { bootSettings, writeXenConfig, xenSettings } from './write.ts';

/**
 * The configuration of a guest. Where it has one of its own (`native`), only the values that differ from the definition are
 * replaced in it, at their places; comments, order and whatever vmferry does not understand stay. Otherwise it is written anew.
 * Throws Failure `guest-unsupported` if the text, read again, would not say what the definition says.
 */
export function xenConfigOf(definition: GuestDefinition): string {
  const { native, driver } = definition;
  const current = driver === 'xen' && native !== undefined ? readXenConfig(native.text) : null;
  if (current === null || native === undefined) return writeXenConfig(definition);
  if (current.definition === null || !isSound(current))
    throw new Failure('guest-unsupported', `The configuration of ${definition.name} cannot be read.`);
  const text = edit(native.text, current.definition, definition);
  const written = readXenConfig(text);
  if (written.definition === null || !isSound(written) || !saysTheSame(written.definition, definition))
    throw new Failure(
      'guest-unsupported',
      `The configuration of ${definition.name} cannot be changed to what is needed.`,
      { advice: 'Write the file for xl by hand, and start the guest with it.' },
    );
  return text;
}

/** A file without a kernel is sound as long as nobody starts it. */
function isSound({ problems }: ReadConfig): boolean {
  return problems.every(({ kind }) => kind === 'no-kernel');
}

function edit(text: string, from: GuestDefinition, to: GuestDefinition): string {
  const settings = new Settings(parseConfig(text));
  const edits = new TextEdits(text, settings);
  const wanted = xenSettings(to);
  if (from.name !== to.name) edits.set('name', wanted['name'] ?? null);
  if (from.uuid !== to.uuid) edits.set('uuid', wanted['uuid'] ?? null);
  if (from.memoryBytes !== to.memoryBytes) {
    edits.set('memory', wanted['memory'] ?? null);
    edits.set('maxmem', null);
  }
  if (from.cpuCount !== to.cpuCount) {
    edits.set('vcpus', wanted['vcpus'] ?? null);
    edits.set('maxvcpus', null);
  }
  if (from.clock !== to.clock) edits.set('localtime', wanted['localtime'] ?? null);
  editBoot(edits, from, to);
  rewriteDisks(edits, readDiskSpecs(settings), from, to);
  rewriteCards(edits, settings.atoms('vif'), from, to);
  return edits.apply();
}

function editBoot(edits: TextEdits, from: GuestDefinition, to: GuestDefinition): void {
  const wanted = bootSettings(to);
  const isOtherWay =
    (from.boot ?? 'kernel') !== (to.boot ?? 'kernel') ||
    (to.virtualization !== undefined && from.virtualization !== to.virtualization) ||
    !isDeepStrictEqual(from.firmware, to.firmware);
  if (isOtherWay) {
    for (const key of ['builder', 'pvh', 'bootloader_args', 'bootargs', 'bios', 'root', 'extra'])
      edits.set(key, null);
    for (const key of ['type', 'kernel', 'ramdisk', 'bootloader', 'firmware', 'cmdline'])
      edits.set(key, wanted[key] ?? null);
    return;
  }
  if (from.kernel !== to.kernel) edits.set('kernel', wanted['kernel'] ?? null);
  if (from.initrd !== to.initrd) edits.set('ramdisk', wanted['ramdisk'] ?? null);
  if (isDeepStrictEqual(from.commandLine, to.commandLine)) return;
  edits.set('root', null);
  edits.set('extra', null);
  edits.set('cmdline', wanted['cmdline'] ?? null);
}

/** Compares what the text can say. The console follows from the command line, and autostart is a link elsewhere. */
function saysTheSame(written: GuestDefinition, wanted: GuestDefinition): boolean {
  const essence = (definition: GuestDefinition): unknown => {
    const { name, uuid, cpuCount, kernel, initrd, clock, boot = 'kernel' } = definition;
    const memory = definition.memoryBytes === null ? null : Math.ceil(definition.memoryBytes / 2 ** 20);
    const disks = definition.disks.map(({ device, path, readOnly, format = 'raw' }) => [
      device,
      path,
      readOnly,
      format,
    ]);
    const drives = (definition.drives ?? []).map(({ device, path }) => [device, path]);
    const cards = (definition.networkCards ?? []).map(({ mac, attachedTo }) => [mac, attachedTo]);
    const words = boot === 'firmware' ? [] : definition.commandLine;
    return [name, uuid, memory, cpuCount, kernel, initrd, clock, boot, words, disks, drives, cards];
  };
  return isDeepStrictEqual(essence(written), essence(wanted));
}
