import { Failure } from '../../../failure.ts';
import { here, placed } from '../../../placed-text.ts';
import type { GuestDefinition } from '../../definition.ts';
import type { Domain } from './host/domains.ts';
import type { XenHost } from './host/host.ts';
import { findConfigFile, listConfigFiles } from './places/config-files.ts';
import { knownAlready } from './places/keep.ts';

/** Another guest of this machine: one that runs, or one that has a file. */
interface Other {
  label: string;
  runs: boolean;
  uuid: string | undefined;
  macs: readonly string[];
  /** Paths of the disks that it writes to. */
  paths: readonly string[];
}

/** What must belong to one guest alone, and another guest here has: its name, its UUID, the address of a card, a disk. Xen guards none of it. */
export function checkUnique(
  definition: GuestDefinition,
  domains: readonly Domain[],
  host: XenHost,
): Failure[] {
  const others = [...domains.map(domainAsOther), ...filesAsOthers(definition.name, host)];
  const macs = (definition.networkCards ?? []).flatMap(({ mac }) => mac ?? []);
  const written = definition.disks.filter(({ readOnly }) => !readOnly).map(({ path }) => path);
  const clashes = others.flatMap((other) => [
    ...(other.uuid !== undefined && other.uuid === definition.uuid
      ? [
          clash(
            `The UUID ${other.uuid}`,
            other,
            'Remove it from the configuration: Xen then makes a new one.',
          ),
        ]
      : []),
    ...macs
      .filter((mac) => other.runs && other.macs.includes(mac))
      .map((mac) =>
        clash(
          `The network card’s address ${mac}`,
          other,
          'Give the card another address, or halt that guest.',
        ),
      ),
    ...written.filter((path) => other.runs && other.paths.includes(path)).map((path) => usedBy(path, other)),
  ]);
  return [...checkName(definition, host), ...clashes];
}

/** A file of the same name with none of its disks is another guest's. An older file of the guest itself counts as its own. */
function checkName({ name, disks }: GuestDefinition, host: XenHost): Failure[] {
  const known = findConfigFile(host, name);
  if (known === null) return [];
  const paths = known.definition.disks.map(({ path }) => path);
  return disks.some(({ path }) => paths.includes(path)) ? [] : [knownAlready(name, known.path)];
}

function domainAsOther({ config, domid }: Domain): Other {
  return {
    label: `${config.c_info.name} (domain ${domid})`,
    runs: true,
    uuid: config.c_info.uuid,
    macs: (config.nics ?? []).flatMap(({ mac }) => mac ?? []),
    paths: (config.disks ?? []).flatMap(({ pdev_path, readwrite }) => (readwrite ? (pdev_path ?? []) : [])),
  };
}

function filesAsOthers(name: string, host: XenHost): Other[] {
  return listConfigFiles(host)
    .filter((file) => file.name !== name)
    .map(({ path, definition }) => ({
      label: path,
      runs: false,
      uuid: definition.uuid,
      macs: [],
      paths: [],
    }));
}

function clash(what: string, { label }: Other, advice: string): Failure {
  return new Failure('guest-unsupported', placed`${what} belongs to another guest ${here}: ${label}.`, {
    advice,
  });
}

function usedBy(path: string, { label }: Other): Failure {
  return new Failure('image-in-use', placed`${path} is in use ${here} by the guest ${label}.`, {
    advice: 'Two guests that write to one disk destroy it. Halt that guest first.',
  });
}
