import { setTimeout as delay } from 'node:timers/promises';
import { Turns } from '../../../../pipeline/turns.ts';
import { LineSocket, SocketError } from './line-socket.ts';

/** QEMU answers at once, unless it is busy with a disk. */
const answerTimeoutMs = 20_000;
const greetingTimeoutMs = 3_000;
/** Events of a guest that floods us are forgotten from the oldest on. */
const MOST_EVENTS = 1000;

/** QEMU refused a command, or the connection is of no use any more. */
export class QmpError extends Error {
  /** As QEMU names it: `GenericError`, `CommandNotFound`; null when no answer came. */
  readonly errorClass: string | null;

  constructor(message: string, errorClass: string | null) {
    super(message);
    this.errorClass = errorClass;
  }
}

export interface QmpEvent {
  event: string;
  data: Readonly<Record<string, unknown>>;
}

type Json = Readonly<Record<string, unknown>>;

interface Waiting {
  id: string;
  settle: (answer: Json | QmpError) => void;
}

/** A connection to the QMP monitor of a running QEMU (docs/interop/qmp-spec). One command at a time. */
export class Qmp implements Disposable {
  readonly #turns = new Turns();
  readonly #events: QmpEvent[] = [];
  readonly #listeners = new Set<() => void>();
  #socket: LineSocket | null = null;
  #waiting: Waiting | null = null;
  #onGreeting: (greeting: Json | QmpError) => void = () => {};
  #commands = 0;

  private constructor() {}

  /** Throws QmpError: nothing answers at this socket, what answers does not speak QMP, or somebody else is connected. */
  static async connect(path: string): Promise<Qmp> {
    const qmp = new Qmp();
    const greeting = new Promise<Json | QmpError>((resolve) => (qmp.#onGreeting = resolve));
    try {
      const onLine = (line: string): void => qmp.#receive(line);
      qmp.#socket = await LineSocket.open(path, greetingTimeoutMs, onLine, (reason) => qmp.#fail(reason));
      const first = await Promise.race([
        greeting,
        delay(
          greetingTimeoutMs,
          new QmpError('it does not answer; maybe another program is connected', null),
          {
            ref: false,
          },
        ),
      ]);
      if (first instanceof QmpError) throw first;
      await qmp.execute('qmp_capabilities');
      return qmp;
    } catch (error) {
      qmp[Symbol.dispose]();
      if (error instanceof SocketError) throw new QmpError(error.message, null);
      throw error;
    }
  }

  /** Null while the connection is open. */
  get ending(): string | null {
    return this.#socket?.ending ?? null;
  }

  /** What the command returns. Throws QmpError when it is refused, or not answered in time. */
  async execute(command: string, args: object = {}, timeoutMs = answerTimeoutMs): Promise<unknown> {
    const endTurn = await this.#turns.take(new AbortController().signal);
    try {
      return await this.#exchange(command, args, timeoutMs);
    } finally {
      endTurn();
    }
  }

  async #exchange(command: string, args: object, timeoutMs: number): Promise<unknown> {
    const { ending } = this;
    if (ending !== null) throw new QmpError(`the connection to QEMU ended: ${ending}`, null);
    const id = `vmferry-${++this.#commands}`;
    const answered = new Promise<Json | QmpError>((resolve) => (this.#waiting = { id, settle: resolve }));
    this.#socket?.send(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    const limit = new AbortController();
    const answer = await Promise.race([
      answered,
      delay(timeoutMs, new QmpError(`QEMU did not answer ${command}`, null), { signal: limit.signal }),
    ]);
    limit.abort();
    this.#waiting = null;
    if (answer instanceof QmpError) {
      // An answer that comes later must not be taken for that of the next command.
      if (answer.errorClass === null) this.#socket?.close();
      throw answer;
    }
    return answer['return'];
  }

  /** The same; null when QEMU refuses the command. Throws QmpError when no answer comes. */
  async tryExecute(command: string, args: object = {}): Promise<unknown> {
    try {
      return (await this.execute(command, args)) ?? {};
    } catch (error) {
      if (error instanceof QmpError && error.errorClass !== null) return null;
      throw error;
    }
  }

  /** The first event since the connection was made that fits; null while none has come. */
  findEvent(fits: (event: QmpEvent) => boolean): QmpEvent | null {
    return this.#events.find(fits) ?? null;
  }

  /** Resolves at the next event, or when the connection ends. */
  nextEvent(): Promise<void> {
    if (this.ending !== null) return Promise.resolve();
    return new Promise((resolve) => {
      const listener = (): void => {
        this.#listeners.delete(listener);
        resolve();
      };
      this.#listeners.add(listener);
    });
  }

  /** Calls the listener at once when such an event comes. */
  onEvent(name: string, listener: () => void): void {
    const look = (): void => {
      if (this.#events.at(-1)?.event === name) listener();
    };
    this.#listeners.add(look);
  }

  [Symbol.dispose](): void {
    this.#socket?.close();
  }

  #fail(reason: string): void {
    const error = new QmpError(`the connection to QEMU ended: ${reason}`, null);
    this.#onGreeting(error);
    this.#waiting?.settle(error);
    this.#tellListeners();
  }

  #tellListeners(): void {
    for (const listener of this.#listeners) listener();
  }

  #receive(line: string): void {
    const message = parseObject(line);
    if (message === null) {
      // A monitor for people greets with its version.
      this.#onGreeting(new QmpError('it does not speak QMP', null));
      this.#socket?.close();
      return;
    }
    if ('QMP' in message) this.#onGreeting(message);
    else if (typeof message['event'] === 'string') this.#receiveEvent(message['event'], message['data']);
    else if (message['id'] === this.#waiting?.id) this.#waiting?.settle(answerOf(message));
  }

  #receiveEvent(event: string, data: unknown): void {
    this.#events.push({ event, data: asObject(data) ?? {} });
    if (this.#events.length > MOST_EVENTS) this.#events.shift();
    this.#tellListeners();
  }
}

function answerOf(message: Json): Json | QmpError {
  const error = asObject(message['error']);
  if (error === null) return message;
  return new QmpError(String(error['desc']).slice(0, 500), String(error['class']).slice(0, 100));
}

export function parseObject(line: string): Json | null {
  try {
    return asObject(JSON.parse(line));
  } catch {
    return null;
  }
}

export function asObject(value: unknown): Json | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : null;
}
