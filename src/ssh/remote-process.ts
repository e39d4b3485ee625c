import { PassThrough, type Readable } from 'node:stream';
import type { Client, ClientChannel } from 'ssh2';
import { Failure } from '../failure.ts';

/** How a program on the other machine ended. Both are null if that is unknown: the channel or the connection is gone. */
export interface RemoteExit {
  exitStatus: number | null;
  /** With SIG, as in `SIGKILL`. */
  signal: string | null;
}

/** A program that runs on the other machine. */
export interface RemoteProcess {
  stdin: RemoteInput;
  /** Must be read: a program that prints more than 1 MiB waits for its reader. Fails if the connection is lost. */
  stdout: Readable;
  /** The last 64 KiB of its standard error so far. */
  stderrText(): string;
  /** Never rejects, and settles even if the other side does not answer any more. */
  exited: Promise<RemoteExit>;
  /** Asks it to end (SIGTERM) and gives up its channel. */
  kill(): void;
}

export interface RemoteInput {
  /** Resolves when more can be written. Throws Failure `connection-lost` if the program reads no more. */
  write(data: string | Uint8Array): Promise<void>;
  /** Ends the program's standard input. */
  end(): void;
}

const STDERR_LIMIT = 65_536;
const STDOUT_AHEAD_BYTES = 1 << 20;
const unknownExit: RemoteExit = { exitStatus: null, signal: null };

/**
 * Starts a command in the login shell of the other machine.
 * @param lost resolves with the reason if the connection is lost
 */
export async function startRemoteProcess(
  client: Client,
  command: string,
  { signal, lost }: { signal: AbortSignal; lost: Promise<Failure> },
): Promise<RemoteProcess> {
  signal.throwIfAborted();
  const channel = await openChannel(client, command);
  if (signal.aborted) channel.close();
  signal.throwIfAborted();
  let stderrTail = '';
  channel.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderrTail = (stderrTail + text).slice(-STDERR_LIMIT);
  });
  const stdout = forwardOutput(channel);
  const kill = (): void => {
    channel.signal('TERM');
    channel.close();
  };
  let lineFailure: Failure | null = null;
  const exited = new Promise<RemoteExit>((resolve) => {
    channel.on('exit', (exitStatus: number | null, signalName?: string) => {
      resolve({ exitStatus, signal: signalName ?? null });
    });
    channel.on('close', () => resolve(unknownExit));
    void lost.then((reason) => {
      lineFailure = reason;
      stdout.destroy(reason);
      resolve(unknownExit);
    });
    const onAbort = (): void => {
      kill();
      stdout.destroy(signal.reason as Error);
      resolve(unknownExit);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    void Promise.resolve().then(async () => {
      await exited;
      signal.removeEventListener('abort', onAbort);
    });
  });
  const nobodyReads = exited.then((): never => {
    throw (
      lineFailure ??
      new Failure('connection-lost', 'The program on the other machine ended and reads no more input.')
    );
  });
  // This failure only matters to a waiting write.
  nobodyReads.catch(() => undefined);
  return { stdin: inputOf(channel, nobodyReads), stdout, stderrText: () => stderrTail, exited, kill };
}

function openChannel(client: Client, command: string): Promise<ClientChannel> {
  return new Promise((resolve, reject) => {
    const refuse = (cause: Error): void => {
      reject(
        new Failure('connection-lost', `No command can be started on the other machine: ${cause.message}.`, {
          advice: /channel open/i.test(cause.message)
            ? 'Besides SFTP, a command needs a second session on the connection. In the sshd_config there, set ' +
              'MaxSessions to 10, the default, and reload sshd.'
            : 'Check that the account there may run commands (not SFTP alone).',
          cause,
        }),
      );
    };
    try {
      client.exec(command, (error, channel) => (error === undefined ? resolve(channel) : refuse(error)));
    } catch (error) {
      refuse(error as Error);
    }
  });
}

/** Moves the output off the channel, so that its end is noticed even if nobody reads. */
function forwardOutput(channel: ClientChannel): PassThrough {
  const stdout = new PassThrough({ highWaterMark: STDOUT_AHEAD_BYTES });
  // A reader gets the error when it reads; without a reader it must not end the process.
  stdout.on('error', () => undefined);
  channel.on('data', (data: Buffer) => {
    if (!stdout.destroyed && !stdout.write(data)) channel.pause();
  });
  stdout.on('drain', () => channel.resume());
  stdout.on('close', () => channel.resume());
  channel.on('end', () => stdout.end());
  return stdout;
}

function inputOf(channel: ClientChannel, nobodyReads: Promise<never>): RemoteInput {
  return {
    // ssh2 never calls back for a channel that the other side has closed.
    write: async (data) => {
      if (!channel.writable) await nobodyReads;
      const taken = new Promise<void>((resolve, reject) => {
        channel.write(data, (error) => (error == null ? resolve() : reject(error)));
      });
      await Promise.race([taken, nobodyReads]);
    },
    end: () => {
      channel.end();
    },
  };
}
