import { chunkLength } from '../../../chunk/chunk-grid.ts';
import { CHUNK_ID_BYTES, isAllZero } from '../../../chunk/chunk-id.ts';
import type { ChunkMap } from '../../../chunk/chunk-map.ts';
import { Failure } from '../../../failure.ts';
import type { RemoteReceiver } from '../../../wire/remote-receiver.ts';

/**
 * Has the receiver read what it has of a disk, and puts that into the map. Returns the plain bytes of the chunks that are not empty.
 * Throws Failure `protocol-violation` for a chunk that the disk does not have.
 */
export async function surveyThere(
  receiver: RemoteReceiver,
  disk: number,
  there: ChunkMap,
  signal: AbortSignal,
): Promise<number> {
  let plainBytes = 0;
  receiver.onHas = (message) => {
    const ids = Buffer.from(message.ids, 'base64');
    const count = ids.length / CHUNK_ID_BYTES;
    if (message.disk !== disk || !Number.isInteger(count) || message.first + count > there.grid.chunkCount)
      throw new Failure(
        'protocol-violation',
        `${receiver.machine.name} reports chunks that the disk does not have.`,
      );
    for (let index = 0; index < count; index++) {
      const id = ids.subarray(index * CHUNK_ID_BYTES, (index + 1) * CHUNK_ID_BYTES);
      if (isAllZero(id)) continue;
      const position = message.first + index;
      there.set(position, id);
      plainBytes += chunkLength(there.grid, position);
    }
  };
  await receiver.request({ type: 'survey', disk }, 'surveyed', signal);
  receiver.onHas = () => undefined;
  return plainBytes;
}
