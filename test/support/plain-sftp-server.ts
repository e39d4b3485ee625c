import {
  closeSync,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeSync,
  existsSync,
} from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ssh2, { type SFTPWrapper } from 'ssh2';
import { introduceServer, makeClientFiles, makeKey, type SshClientFiles } from './ssh-client-files.ts';

const { STATUS_CODE, flagsToString } = ssh2.utils.sftp;

export interface PlainSftpFaults {
  /** Acknowledge writes at or beyond this offset without doing them. */
  forgetBeyondBytes?: number;
  /** Refuse writes at or beyond this offset with the bare status Failure. */
  refuseBeyondBytes?: number;
  /** Answer reads with no more than this. */
  shortReadBytes?: number;
}

/**
 * An SFTP server that offers nothing but version 3 of the protocol: no limits, no fsync, no statvfs, and a rename
 * that refuses to replace. With faults, a bad one.
 */
export interface PlainSftpServer extends SshClientFiles {
  destination: string;
  directory: string;
  /** May be changed while it runs. */
  faults: PlainSftpFaults;
  stop(): Promise<void>;
}

export async function startPlainSftpServer(faults: PlainSftpFaults = {}): Promise<PlainSftpServer> {
  const directory = mkdtempSync(join(tmpdir(), 'vmferry-plain-sftp-'));
  await makeClientFiles(directory);
  const hostKeyFile = await makeKey(join(directory, 'host_key'));
  const clients = new Set<ssh2.Connection>();
  const settings = { faults };
  const server = new ssh2.Server({ hostKeys: [readFileSync(hostKeyFile)] }, (client) => {
    clients.add(client);
    client.on('error', () => undefined).on('close', () => clients.delete(client));
    client.on('authentication', (attempt) => attempt.accept());
    client.on('session', (accept) => {
      accept().on('sftp', (acceptSftp) => {
        serve(acceptSftp(), () => settings.faults);
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const clientFiles = await introduceServer(directory, { alias: 'plain', address: '127.0.0.1', port }, [
    hostKeyFile,
  ]);
  return Object.assign(settings, clientFiles, {
    destination: 'plain',
    directory,
    stop: async () => {
      for (const client of clients) client.end();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      rmSync(directory, { recursive: true, force: true });
    },
  });
}

function serve(sftp: SFTPWrapper, faults: () => PlainSftpFaults): void {
  const descriptors = new Set<number>();
  /** Does the work and answers OK unless it answered itself; an error becomes the status that OpenSSH would give. */
  const answering = (request: number, work: () => boolean | void): void => {
    try {
      if (work() !== true) sftp.status(request, STATUS_CODE.OK);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'ENOENT') sftp.status(request, STATUS_CODE.NO_SUCH_FILE);
      else if (code === 'EACCES') sftp.status(request, STATUS_CODE.PERMISSION_DENIED);
      else sftp.status(request, STATUS_CODE.FAILURE);
    }
  };
  const fileOf = (handle: Buffer): number => handle.readInt32BE();
  sftp.on('OPEN', (request, path, flags) =>
    answering(request, () => {
      const descriptor = openSync(path, flagsToString(flags) ?? 'r', 0o600);
      descriptors.add(descriptor);
      const handle = Buffer.alloc(4);
      handle.writeInt32BE(descriptor);
      sftp.handle(request, handle);
      return true;
    }),
  );
  sftp.on('CLOSE', (request, handle) =>
    answering(request, () => {
      descriptors.delete(fileOf(handle));
      closeSync(fileOf(handle));
    }),
  );
  sftp.on('WRITE', (request, handle, offset, data) =>
    answering(request, () => {
      const { forgetBeyondBytes = Infinity, refuseBeyondBytes = Infinity } = faults();
      if (offset >= refuseBeyondBytes) throw new Error('refused');
      if (offset < forgetBeyondBytes) writeSync(fileOf(handle), data, 0, data.length, offset);
    }),
  );
  sftp.on('READ', (request, handle, offset, length) =>
    answering(request, () => {
      const data = Buffer.alloc(Math.min(length, faults().shortReadBytes ?? Infinity));
      const count = readSync(fileOf(handle), data, 0, data.length, offset);
      if (count === 0) sftp.status(request, STATUS_CODE.EOF);
      else sftp.data(request, data.subarray(0, count));
      return true;
    }),
  );
  sftp.on('FSTAT', (request, handle) =>
    answering(request, () => {
      const { mode, uid, gid, size } = fstatSync(fileOf(handle));
      sftp.attrs(request, { mode, uid, gid, size, atime: 0, mtime: 0 });
      return true;
    }),
  );
  sftp.on('REMOVE', (request, path) => answering(request, () => unlinkSync(path)));
  sftp.on('MKDIR', (request, path) =>
    answering(request, () => {
      mkdirSync(path);
    }),
  );
  sftp.on('RENAME', (request, from, to) =>
    answering(request, () => {
      if (existsSync(to)) throw new Error('exists');
      renameSync(from, to);
    }),
  );
  sftp.on('close', () => {
    for (const descriptor of descriptors) closeSync(descriptor);
  });
}
