import type { Context, Event, Warning } from '../../events.ts';
import { asFailure, Failure, toFailureParts } from '../../failure.ts';
import type { FramePool } from '../../workers/frame-pool.ts';
import type { BootFilePaths } from '../../guest/boot-menu/take-boot-files.ts';
import { parseGuestDefinition } from '../../guest/definition.ts';
import { Queue } from '../../pipeline/queue.ts';
import { thisMachine } from '../../system/machine.ts';
import { MessageChannel } from '../../wire/message-channel.ts';
import { checkTarget } from './check.ts';
import { runsOf, type ChunkList } from '../../chunk/chunk-list.ts';
import { rangesOf } from '../../chunk/chunk-ranges.ts';
import { bootGuest, haltGuest, lookForGuest, type GuestsHere } from './guest-requests.ts';
import { publishImages } from './publish-images.ts';
import { rehearseBoot } from './rehearsal/rehearse-boot.ts';
import { Grants } from './grants.ts';
import { ReceiveSession } from './session.ts';
import {
  MOST_TAKEN,
  parseMoverMessage,
  PROTOCOL_VERSION,
  type MoverMessage,
  type ReceiverMessage,
} from '../../wire/messages.ts';

export interface ReceiveDependencies extends GuestsHere {
  version: string;
  pool: FramePool;
  /** The directory for packs when no disk goes into a directory that the mover named. */
  spoolParent: string;
  /** New files to boot this guest: nothing has their names. */
  bootFilesOf: (guest: string) => BootFilePaths;
  /** Where this machine keeps the key of its grants. */
  grantKeyFile: string;
}

export interface ReceiveEnds {
  input: AsyncIterable<Uint8Array>;
  write: (text: string) => void;
}

/**
 * The new hardware's side of a migration (doc/wire.md): answers the mover's messages until `commit`, `abort` or the end
 * of the line. If it ends before `commit` or `up`, it removes all that it made; if the line or this process came to an end, incomplete
 * images stay, and the same move can go on with them. Throws the Failure that ended it, after it has told the mover.
 */
export async function receive(
  ends: ReceiveEnds,
  dependencies: ReceiveDependencies,
  context: Context,
): Promise<void> {
  const stopping = new AbortController();
  const calledOff = new Failure('interrupted', 'The other machine cancelled the move.');
  const inbox = new Queue<MoverMessage>();
  const stop = (failure: Failure) => {
    stopping.abort(failure);
    inbox.end(failure);
  };
  context.signal.addEventListener('abort', () => stop(asFailure(context.signal.reason)), { once: true });
  using channel = new MessageChannel<ReceiverMessage, MoverMessage>({
    ...ends,
    parse: parseMoverMessage,
    onMessage(message) {
      if (message.type === 'abort') stop(calledOff);
      else inbox.push(message);
      if (message.type === 'pack') receiver.expectPack(message);
    },
    onEnd(failure) {
      stop(failure ?? new Failure('connection-lost', 'The other machine closed the connection.'));
    },
  });
  const receiver = new Receiver(dependencies, channel, { ...context, signal: stopping.signal });
  const { host, id: machine } = thisMachine();
  channel.send({
    type: 'ready',
    protocol: PROTOCOL_VERSION,
    version: dependencies.version,
    host,
    machine,
    takes: true,
  });
  try {
    for await (const message of inbox) if (await receiver.handle(message)) return;
  } catch (error) {
    const thrown = asFailure(error);
    // A failed boot, or one with an unknown outcome, matters more than the reason of the stop.
    const tellsOfBoot = thrown.code === 'boot-failed' || thrown.code === 'outcome-unknown';
    const failure = asFailure(stopping.signal.aborted && !tellsOfBoot ? stopping.signal.reason : thrown);
    // Nobody has called the move off: the line or this process came to an end, and the move may go on.
    const isCutShort = failure !== calledOff && failure.code !== 'protocol-violation' && !tellsOfBoot;
    const forLater = stopping.signal.aborted && isCutShort;
    // The mover must be told how it ended, even if something cannot be removed.
    const leftover = await receiver.undo(forLater).then(
      () => null,
      (cause: unknown) => asFailure(cause),
    );
    if (leftover !== null) {
      const message = `Some of the received data could not be removed: ${leftover.message}`;
      context.report({ type: 'warning', code: 'clean-up-incomplete', message });
    }
    // `aborted` means that nothing is left.
    const told = failure === calledOff ? leftover : forLater ? asDeath(failure) : failure;
    channel.send(told === null ? { type: 'aborted' } : { type: 'failed', ...toFailureParts(told) });
    throw failure;
  }
}

/** This process was told to end: the mover may go on with another one. */
function asDeath({ placed: { message, advice } }: Failure): Failure {
  return new Failure('receiver-died', message, { advice, transient: true });
}

/** The answers to the messages, one at a time. */
class Receiver {
  readonly #dependencies: ReceiveDependencies;
  readonly #channel: MessageChannel<ReceiverMessage, MoverMessage>;
  readonly #context: Context;
  readonly #session: ReceiveSession;
  readonly #grants: Grants;
  #warnings: Warning[] = [];

  constructor(
    dependencies: ReceiveDependencies,
    channel: MessageChannel<ReceiverMessage, MoverMessage>,
    context: Context,
  ) {
    this.#dependencies = dependencies;
    this.#channel = channel;
    this.#context = {
      signal: context.signal,
      report: (event: Event) => {
        if (event.type === 'warning') this.#warnings.push({ code: event.code, message: event.message });
        context.report(event);
      },
    };
    this.#grants = new Grants(dependencies.grantKeyFile);
    this.#session = new ReceiveSession({
      pool: dependencies.pool,
      signal: context.signal,
      spoolParent: dependencies.spoolParent,
      bootFilesOf: dependencies.bootFilesOf,
      grants: this.#grants,
      onProgress: ({ verifiedBytes, clearedBytes }) => {
        channel.send({ type: 'progress', verifiedBytes, ...(clearedBytes > 0 && { clearedBytes }) });
      },
    });
  }

  /** True when the session is over. */
  async handle(message: MoverMessage): Promise<boolean> {
    switch (message.type) {
      case 'check':
        await this.#check(message);
        return false;
      case 'measure':
        this.#channel.send({ type: 'measured' });
        return false;
      case 'open':
        await this.#open(message);
        return false;
      case 'survey':
        await this.#session.survey(message, (found) => this.#tellFound(message.disk, found));
        this.#channel.send({ type: 'surveyed' });
        return false;
      case 'pack':
        await this.#session.applyPack(message, (plainBytes) => {
          this.#channel.send({ type: 'applied', id: message.id, plainBytes });
        });
        return false;
      case 'finish':
        await this.#finish(message);
        return false;
      case 'clear':
        await this.#session.clear(message);
        return false;
      case 'take':
        await this.#take(message);
        return false;
      case 'pass':
        await this.#session.endPass(message);
        this.#channel.send({ type: 'passed' });
        return false;
      case 'publish':
        this.#channel.send(await this.#publish(message));
        return false;
      case 'adapt':
        this.#channel.send({ type: 'adapted', guest: await this.#session.adapt(message) });
        return false;
      case 'rehearse':
        this.#channel.send(await this.#rehearse(message));
        return false;
      case 'leave':
        await this.#session.undo(true);
        this.#channel.send({ type: 'left' });
        return true;
      case 'boot':
        this.#channel.send(await this.#boot(message));
        return false;
      case 'halt':
        this.#channel.send(await haltGuest(message, this.#dependencies, this.#context));
        return false;
      case 'look':
        this.#channel.send(await lookForGuest(message.name, this.#dependencies, this.#context));
        return false;
      case 'commit':
        this.#session.keep();
        this.#channel.send({ type: 'committed' });
        return true;
      case 'alive':
      case 'abort':
        return false;
    }
  }

  expectPack(message: Extract<MoverMessage, { type: 'pack' }>): void {
    this.#session.expectPack(message);
  }

  /** @param forLater what the same move can continue stays */
  async undo(forLater: boolean): Promise<void> {
    await this.#session.undo(forLater);
  }

  #takeWarnings(): Warning[] {
    return this.#warnings.splice(0);
  }

  async #check(message: Extract<MoverMessage, { type: 'check' }>): Promise<void> {
    const { guest: json, overwrite = false, ...rest } = message;
    const guest = json === null ? null : parseGuestDefinition(json);
    const request = { ...rest, guest, overwrite };
    const checked = await checkTarget(request, this.#dependencies, this.#context);
    const { problems, freeBytes, devices, completed, hypervisors } = checked;
    this.#channel.send({
      type: 'checked',
      problems: problems.map(toFailureParts),
      warnings: this.#takeWarnings(),
      freeBytes,
      ...(devices.length > 0 && { devices }),
      ...(completed !== null && { guest: completed }),
      ...(hypervisors.length > 0 && { hypervisors }),
    });
  }

  async #finish(message: Extract<MoverMessage, { type: 'finish' }>): Promise<void> {
    const { fingerprint, readBack } = await this.#session.finish(message);
    this.#channel.send({ type: 'verified', fingerprint, readBack, warnings: this.#takeWarnings() });
  }

  async #take(message: Extract<MoverMessage, { type: 'take' }>): Promise<void> {
    const { type: _, ...request } = message;
    const [lacking = []] = rangesOf(await this.#session.take(request), MOST_TAKEN);
    this.#channel.send({ type: 'taken', lacking });
  }

  async #publish({ grants }: Extract<MoverMessage, { type: 'publish' }>): Promise<ReceiverMessage> {
    const granting = grants === true ? this.#grants : null;
    const published = await publishImages(this.#session, granting, this.#context);
    return { type: 'published', ...published, warnings: this.#takeWarnings() };
  }

  async #open(message: Extract<MoverMessage, { type: 'open' }>): Promise<void> {
    const { spool, isContinued } = await this.#session.open(message);
    this.#channel.send({ type: 'opened', spool, ...(isContinued && { continued: true }) });
  }

  #tellFound(disk: number | undefined, found: ChunkList): void {
    for (const { first, ids } of runsOf(found))
      this.#channel.send({
        type: 'has',
        ...(disk !== undefined && { disk }),
        first,
        ids: Buffer.from(ids).toString('base64'),
      });
  }

  /** A guest that does not boot is no failure of the session: the incomplete images are as they should be. */
  async #rehearse(message: Extract<MoverMessage, { type: 'rehearse' }>): Promise<ReceiverMessage> {
    const onCopied = (verifiedBytes: number) => this.#channel.send({ type: 'progress', verifiedBytes });
    const rehearsal = { ...message, targets: this.#session.targets, onCopied };
    try {
      const seconds = await rehearseBoot(rehearsal, this.#dependencies, this.#context);
      return { type: 'rehearsed', bootMs: Math.round(1000 * seconds), warnings: this.#takeWarnings() };
    } catch (error) {
      this.#context.signal.throwIfAborted();
      const failure = toFailureParts(asFailure(error));
      return { type: 'rehearsed', failure, warnings: this.#takeWarnings() };
    }
  }

  async #boot(message: Extract<MoverMessage, { type: 'boot' }>): Promise<ReceiverMessage> {
    try {
      const up = await bootGuest(message, this.#dependencies, this.#context);
      this.#session.keep();
      return { ...up, warnings: this.#takeWarnings() };
    } catch (error) {
      // Processes of the guest may be left: its disks must stay.
      if (asFailure(error).code === 'outcome-unknown') this.#session.keep();
      throw error;
    }
  }
}
