import type { Context } from '../../../events.ts';
import type { KeptGuest, RunningGuest } from '../../guest-driver.ts';
import { join } from 'node:path';
import { listDomains, type Domain } from './host/domains.ts';
import type { XenHost } from './host/host.ts';
import { identityOf } from './identity.ts';
import { listAutoEntries, listConfigFiles, readConfigFile, type ConfigFile } from './places/config-files.ts';
import { definitionOfDomain, runningDefinition } from './running-definition.ts';
import { findProgram, isControlDomain } from './host/host.ts';

/** The guests that run now. */
export async function findXenGuests(host: XenHost, context: Context): Promise<RunningGuest[]> {
  const domains = await listDomains(host, context);
  if (domains.length === 0) return [];
  const files = listConfigFiles(host);
  const autostarting = namesWithAutostart(host);
  return domains.flatMap((domain) => guestOf(domain, files, autostarting, host));
}

/** The guest with this name that runs now; null when there is none. */
export async function findXenGuest(
  host: XenHost,
  name: string,
  context: Context,
): Promise<RunningGuest | null> {
  const guests = await findXenGuests(host, context);
  return guests.find(({ definition }) => definition.name === name) ?? null;
}

function guestOf(
  { domid, config, cpuSeconds }: Domain,
  files: readonly ConfigFile[],
  autostarting: ReadonlySet<string>,
  host: XenHost,
): RunningGuest[] {
  const found = definitionOfDomain(config);
  if (found === null) return [];
  const running = found.definition;
  // A file that vmferry started it with says no more than the guest's own, if both say what runs.
  const started = readConfigFile(startedFile(host, running.name));
  const candidates = [...files, ...(started === null ? [] : [started])].filter(
    ({ name }) => name === running.name,
  );
  const definitions = candidates.map((file) => runningDefinition(running, file));
  const definition =
    definitions.find((one, index) => one === candidates[index]?.definition) ??
    runningDefinition(running, candidates[0] ?? null);
  const file = candidates.find((one) => one.definition === definition);
  const unsupported = file === undefined ? found.unsupported : file.unsupported;
  return [
    {
      definition: { ...definition, autostart: autostarting.has(definition.name) },
      identity: identityOf(domid),
      cpuSeconds,
      ...(unsupported === null ? {} : { unsupported }),
    },
  ];
}

/** Where the configuration is put that a guest is started with. */
export function startedFile(host: XenHost, name: string): string {
  return join(host.runDirectory, `${name}.cfg`);
}

/** The guests that have a file and do not run. Nothing where xl is not installed, and for accounts that do not see which guests run. */
export async function findKeptGuests(host: XenHost, context: Context): Promise<KeptGuest[]> {
  if (findProgram(host, 'xl') === null || (isControlDomain() && process.geteuid?.() !== 0)) return [];
  const running = new Set((await listDomains(host, context)).map(({ config }) => config.c_info.name));
  const autostarting = namesWithAutostart(host);
  const kept = new Map<string, KeptGuest>();
  for (const { name, definition, unsupported } of listConfigFiles(host)) {
    if (running.has(name) || kept.has(name)) continue;
    kept.set(name, {
      definition: { ...definition, autostart: autostarting.has(name) },
      ...(unsupported === null ? {} : { unsupported }),
    });
  }
  return [...kept.values()];
}

function namesWithAutostart(host: XenHost): Set<string> {
  return new Set(listAutoEntries(host).map(({ file }) => file.name));
}
