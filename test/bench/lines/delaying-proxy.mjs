import { connect, createServer } from 'node:net';

/**
 * Forwards TCP to another port like a long line. Every byte arrives `oneWayMs` after it was sent, in both directions and in
 * order. A connection opens at the far end after three one-way times (there, back, there again, as with TCP). At most
 * `limitBytes` wait in each direction; then the sender waits. So the limit must be at least what the line carries in a round
 * trip. There is no rate limit.
 *
 * @returns its port on 127.0.0.1, and `close`
 */
export async function startDelayingProxy({ listenPort, address, port, oneWayMs, limitBytes }) {
  const sockets = new Set();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    track(near, sockets);
    const forward = new DelayedWay(near, oneWayMs, limitBytes);
    setTimeout(() => {
      if (near.destroyed) return;
      const far = connect({ host: address, port, allowHalfOpen: true, noDelay: true });
      track(far, sockets);
      near.on('error', () => far.resetAndDestroy());
      far.on('error', () => near.resetAndDestroy());
      forward.openTo(far);
      new DelayedWay(far, oneWayMs, limitBytes).openTo(near);
    }, 3 * oneWayMs);
  });
  await new Promise((resolve, reject) => {
    server.once('error', reject).listen(listenPort, '127.0.0.1', resolve);
  });
  return {
    port: server.address().port,
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

function track(socket, sockets) {
  sockets.add(socket);
  // an error destroys the connection, and the other end is closed, too
  socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
}

/** One direction of a connection: data from `source` that is not due yet, or that the other end has not taken yet. */
class DelayedWay {
  #source;
  #target = null;
  #delayMs;
  #limitBytes;
  /** `{ dueMs, data }` by time; without data it is the end. */
  #waiting = [];
  #waitingBytes = 0;
  #timer = null;

  constructor(source, delayMs, limitBytes) {
    this.#source = source;
    this.#delayMs = delayMs;
    this.#limitBytes = limitBytes;
    source.on('data', (data) => this.#take(data)).on('end', () => this.#take(null));
  }

  openTo(target) {
    this.#target = target;
    target.on('drain', () => this.#pass());
    target.on('close', () => clearTimeout(this.#timer));
    this.#pass();
  }

  #take(data) {
    this.#waiting.push({ dueMs: performance.now() + this.#delayMs, data });
    this.#waitingBytes += data?.length ?? 0;
    if (this.#waitingBytes >= this.#limitBytes) this.#source.pause();
    if (this.#timer === null) this.#pass();
  }

  /** Forwards what is due and accepted by the other end; continues later with the rest. */
  #pass() {
    const target = this.#target;
    clearTimeout(this.#timer);
    this.#timer = null;
    if (target === null || target.destroyed) return;
    const nowMs = performance.now();
    while (this.#waiting.length > 0 && this.#waiting[0].dueMs <= nowMs && !target.writableNeedDrain) {
      const { data } = this.#waiting.shift();
      if (data === null) target.end();
      else {
        target.write(data);
        this.#waitingBytes -= data.length;
      }
    }
    if (this.#waitingBytes < this.#limitBytes) this.#source.resume();
    const [next] = this.#waiting;
    // the drain event continues
    if (next === undefined || target.writableNeedDrain) return;
    this.#timer = setTimeout(() => this.#pass(), Math.max(1, next.dueMs - nowMs));
  }
}
