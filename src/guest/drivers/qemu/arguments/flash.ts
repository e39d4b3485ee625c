import { backendOfNode, readNodes, type Backend } from './backends.ts';
import type { Reading, ValuePlace } from './reading.ts';
import { parseSettings } from './settings.ts';
import { toDisk, type FoundDisk, type Slot } from './slots.ts';

/** The first flash memory has the firmware's code, the second its variables (docs/system/i386/pc: pflash). */
export function readFlash(
  reading: Reading,
  flash: readonly (Backend | undefined)[],
): { code: { path: string; place: ValuePlace } | null; variables: FoundDisk[] } {
  const nodes = readNodes(reading);
  const machine = reading.last('machine', 'M');
  const named = ['pflash0', 'pflash1'].map((key) => {
    const name = machine === undefined ? undefined : parseSettings(machine.value, 'type').get(key);
    const node = nodes.get(name ?? '');
    return node === undefined ? undefined : (backendOfNode(node, nodes, reading, undefined) ?? undefined);
  });
  const [code, variables] = [0, 1].map((unit) => flash[unit] ?? named[unit]);
  // Old guests have code and variables in one file.
  const written = code !== undefined && !code.readOnly && variables === undefined ? code : variables;
  return {
    code: code?.path == null ? null : { path: code.path, place: code.pathPlace },
    variables:
      written === undefined ? [] : toDisk({ slot: flashSlot(written), device: 'nvram' }).map(asVariables),
  };
}

function flashSlot(backend: Backend): Slot {
  return { kind: 'disk', bus: null, backend, serial: null, position: 0 };
}

function asVariables(disk: FoundDisk): FoundDisk {
  const { cache: _, ...definition } = disk.definition;
  return { ...disk, definition: { ...definition, purpose: 'uefi-variables' } };
}
