import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { cutIntoPieces, writeThroughWindow, type Piece } from '../../../../src/store/sftp/write-window.ts';

const never = new AbortController().signal;
const sizes = fc.array(fc.nat({ max: 40 }), { maxLength: 8 });
const partsOf = (lengths: readonly number[]): Uint8Array[] => {
  let next = 0;
  return lengths.map((length) => Uint8Array.from({ length }, () => next++ % 251));
};

/** A server that answers only when the test says so. */
class SlowServer {
  readonly received = new Map<number, Uint8Array>();
  readonly waiting: { piece: Piece; answer: (error?: Error) => void }[] = [];
  mostInFlight = 0;
  write = (piece: Piece): Promise<void> => {
    this.received.set(piece.offset, piece.data.slice());
    return new Promise((resolve, reject) => {
      this.waiting.push({ piece, answer: (error) => (error === undefined ? resolve() : reject(error)) });
      this.mostInFlight = Math.max(this.mostInFlight, this.waiting.length);
    });
  };
  async answerAll(refuseAtOffset = Number.POSITIVE_INFINITY): Promise<void> {
    for (let idle = 0; idle < 3;) {
      const next = this.waiting.shift();
      idle = next === undefined ? idle + 1 : 0;
      next?.answer(
        next.piece.offset >= refuseAtOffset ? new Error(`refused ${next.piece.offset}`) : undefined,
      );
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

describe('pieces', () => {
  test('contain the parts in order, and all but the last are full', () => {
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 50 }), (lengths, pieceBytes) => {
        const parts = partsOf(lengths);
        const pieces = [...cutIntoPieces(parts, pieceBytes)];
        expect(Buffer.concat(pieces.map((piece) => piece.data))).toEqual(Buffer.concat(parts));
        let offset = 0;
        for (const [index, piece] of pieces.entries()) {
          expect(piece.offset).toBe(offset);
          offset += piece.data.byteLength;
          if (index < pieces.length - 1) expect(piece.data.byteLength).toBe(pieceBytes);
          expect(piece.data.byteLength).toBeGreaterThan(0);
        }
      }),
    );
  });

  test('are views if they are within one part', () => {
    const part = new Uint8Array(100);
    for (const { data } of cutIntoPieces([part], 30)) expect(data.buffer).toBe(part.buffer);
  });
});

describe('a write window', () => {
  test('sends everything, never exceeds its limit, and counts acknowledged bytes', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, fc.integer({ min: 1, max: 5 }), async (lengths, writesInFlight) => {
        const parts = partsOf(lengths);
        const server = new SlowServer();
        let writtenBytes = 0;
        const sending = writeThroughWindow(cutIntoPieces(parts, 7), {
          writesInFlight,
          signal: never,
          write: server.write,
          onWritten: (bytes) => (writtenBytes += bytes),
        });
        await server.answerAll();
        await sending;
        const whole = Buffer.concat(parts);
        expect(writtenBytes).toBe(whole.length);
        expect(server.mostInFlight).toBeLessThanOrEqual(writesInFlight);
        const inOrder = [...server.received].toSorted(([a], [b]) => a - b).map(([, data]) => data);
        expect(Buffer.concat(inOrder)).toEqual(whole);
      }),
      { numRuns: 40 },
    );
  });

  test('stops at the first refusal, awaits writes in flight, and throws that refusal', async () => {
    const server = new SlowServer();
    let settled = false;
    const sending = writeThroughWindow(cutIntoPieces([new Uint8Array(100)], 10), {
      writesInFlight: 4,
      signal: never,
      write: server.write,
    });
    const outcome = sending.catch((error: unknown) => error).finally(() => (settled = true));
    await new Promise((resolve) => setImmediate(resolve));
    server.waiting.shift()?.answer(new Error('refused 0'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(settled).toBe(false);
    await server.answerAll(10);
    expect(await outcome).toEqual(new Error('refused 0'));
    expect(server.received.size).toBe(4);
  });

  test('throws the reason at once if it is aborted, whatever the server does', async () => {
    const server = new SlowServer();
    const stop = new AbortController();
    const reason = new Error('stopped');
    const sending = writeThroughWindow(cutIntoPieces([new Uint8Array(100)], 10), {
      writesInFlight: 4,
      signal: stop.signal,
      write: server.write,
    });
    stop.abort(reason);
    await expect(sending).rejects.toBe(reason);
    await server.answerAll();
    expect(server.received.size).toBe(4);
  });
});
