import { command, placed } from '../../../placed-text.ts';
import type { EarlierStates } from '../../guest-driver.ts';
import type { DomainInfo } from './domains.ts';
import type { AskOptions, Virsh } from './virsh.ts';

/** More are counted only. */
const MOST_SHOWN = 5;

/**
 * The snapshots that libvirt has of a domain. Only its disks as they are now are read: for a snapshot in other files, that is the topmost image
 * with all that it builds on.
 */
export async function findSnapshots(
  virsh: Virsh,
  { uuid, name }: DomainInfo,
  options: AskOptions,
): Promise<EarlierStates | undefined> {
  const listed = async (...filter: string[]) => {
    const { ok, text } = await virsh.ask(['snapshot-list', `--domain=${uuid}`, '--name', ...filter], options);
    return ok ? text.split('\n').filter((line) => line.trim() !== '') : [];
  };
  const names = await listed();
  const [first] = names;
  if (first === undefined) return undefined;
  const external = new Set(await listed('--external'));
  const shown = names
    .slice(0, MOST_SHOWN)
    .map(
      (one) => `${one} (${external.has(one) ? 'in files that its images build on' : 'inside its images'})`,
    );
  const more = names.length - shown.length;
  return {
    insideImages: names.filter((one) => !external.has(one)),
    text: [...shown, ...(more > 0 ? [`and ${more} more`] : [])].join(', '),
    forget: placed`To have libvirt forget them, while their files stay: \`${command('virsh', 'snapshot-delete', name, first, '--metadata')}\`, for each.`,
  };
}
