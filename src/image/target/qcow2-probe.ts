import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Failure } from '../../failure.ts';
import { ImageTarget } from './image-target.ts';

const SMALL_BYTES = 2 ** 20;

/** Why qcow2 images cannot be written on this machine, found by making a small one in a temporary directory; null when they can. */
export async function qcow2Problem(): Promise<Failure | null> {
  const directory = await mkdtemp(join(tmpdir(), 'vmferry-probe-'));
  try {
    await using target = await ImageTarget.create(join(directory, 'probe'), SMALL_BYTES, 'qcow2');
    await target.discard();
    return null;
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
