import { join } from 'node:path';
import { Failure } from '../../../../failure.ts';
import { command, here, placed } from '../../../../placed-text.ts';
import type { GuestDefinition } from '../../../definition.ts';
import { hasEmulatedTpm } from './tpm.ts';

/**
 * Why libvirt here cannot forget a domain without a loss; null if it can.
 * @param directory see `tpmDirectory`
 * @param askHelp what virsh says of its command `undefine`
 */
export async function whyUndroppable(
  { name, uuid = '', native }: GuestDefinition,
  directory: string,
  askHelp: () => Promise<string>,
): Promise<Failure | null> {
  if (!hasEmulatedTpm(native?.text ?? '')) return null;
  if ((await askHelp()).includes('--keep-tpm')) return null;
  // It deletes the whole directory. A virsh that knows of other directories also knows the word.
  const path = join(directory, uuid);
  const byHand = `cp -a ${path} ${path}.kept && virsh undefine ${uuid} --keep-nvram && mv -T ${path}.kept ${path}`;
  return new Failure(
    'guest-unsupported',
    placed`libvirt knows ${name} ${here} from before it was moved away, and is to forget that. This virsh (before 8.9) cannot keep the state of the guest's emulated TPM meanwhile, ${path}.`,
    { advice: placed`Have libvirt forget it by hand: \`${command('sh', '-c', byHand)}\`.` },
  );
}
