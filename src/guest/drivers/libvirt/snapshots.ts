import { Failure } from '../../../failure.ts';
import { shellLine } from '../../../quote-for-shell.ts';
import type { DomainInfo } from './domains.ts';
import { parseXml } from './xml/document.ts';
import { all, attributeOf, find } from './xml/elements.ts';
import type { AskOptions, Virsh } from './virsh.ts';

/** More are counted only. */
const MOST_SHOWN = 5;

/**
 * A failure for a domain with snapshots: vmferry moves the disks as they are now, so the earlier states would be lost. It says which
 * files those are in, and how to get rid of them.
 */
export async function findSnapshots(virsh: Virsh, info: DomainInfo, options: AskOptions): Promise<Failure[]> {
  const domain = `--domain=${info.uuid}`;
  const { ok, text } = await virsh.ask(['snapshot-list', domain, '--name'], options);
  const names = ok ? text.split('\n').filter((line) => line.trim() !== '') : [];
  if (names.length === 0) return [];
  const files = new Set<string>();
  for (const name of names.slice(0, MOST_SHOWN)) {
    const dump = await virsh.ask(['snapshot-dumpxml', domain, `--snapshotname=${name}`], options);
    if (dump.ok) for (const file of externalFiles(dump.text)) files.add(file);
  }
  const shown = names.slice(0, MOST_SHOWN).join(', ') + (names.length > MOST_SHOWN ? ', …' : '');
  const inFiles =
    files.size === 0
      ? 'inside its images'
      : `in files of their own, and its images build on them: ${[...files].join(', ')}`;
  const advice =
    files.size === 0
      ? `If they are not needed: \`${shellLine(['virsh', 'snapshot-delete', info.name, names[0] ?? ''])}\`, for each.`
      : `Make its disks whole: \`${shellLine(['virsh', 'blockcommit', info.name, 'DISK', '--active', '--pivot'])}\` while it runs, for each disk; then \`${shellLine(['virsh', 'snapshot-delete', info.name, names[0] ?? '', '--metadata'])}\`, for each snapshot.`;
  const count = names.length === 1 ? 'a snapshot' : `${names.length} snapshots`;
  return [
    new Failure('guest-unsupported', `The guest ${info.name} has ${count} (${shown}), kept ${inFiles}.`, {
      advice,
    }),
  ];
}

/** The images that a snapshot made the base of new ones: what the domain used when it was taken. */
function externalFiles(text: string): string[] {
  const { root } = parseXml(text, 'the snapshot');
  const external = all(find(root, 'disks'), 'disk')
    .filter((disk) => attributeOf(disk, 'snapshot') === 'external')
    .map((disk) => attributeOf(disk, 'name'));
  return all(find(root, 'domain', 'devices'), 'disk')
    .filter((disk) => external.includes(attributeOf(find(disk, 'target'), 'dev')))
    .flatMap((disk) => {
      const source = find(disk, 'source');
      return attributeOf(source, 'file') ?? attributeOf(source, 'dev') ?? [];
    });
}
