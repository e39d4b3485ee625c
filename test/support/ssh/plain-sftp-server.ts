import {
  chmodSync,
  closeSync,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  lstatSync,
  readdirSync,
  readSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  unlinkSync,
  writeSync,
  existsSync,
  type Stats,
} from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ssh2, { type Attributes, type SFTPWrapper } from 'ssh2';
import { introduceServer, makeClientFiles, makeKey, type SshClientFiles } from './ssh-client-files.ts';

const { STATUS_CODE, flagsToString } = ssh2.utils.sftp;

export interface PlainSftpFaults {
  /** Acknowledge writes at or beyond this offset without doing them. */
  forgetBeyondBytes?: number;
  /** Refuse writes at or beyond this offset with the bare status Failure. */
  refuseBeyondBytes?: number;
  /** Answer reads with at most this many bytes. */
  shortReadBytes?: number;
  /** List folders with names only, without attributes. */
  bareListings?: boolean;
  /** Let a rename replace an existing file, against the protocol. */
  renameReplaces?: boolean;
}

const ENTRIES_AT_ONCE = 3;

/**
 * An SFTP server that offers only version 3 of the protocol: no limits, no fsync, no statvfs, and a rename that refuses to
 * replace. `faults` make it a bad server.
 */
export interface PlainSftpServer extends SshClientFiles {
  destination: string;
  port: number;
  /** Also the directory in which logins begin. */
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
        serve(acceptSftp(), directory, () => settings.faults);
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
    port,
    directory,
    stop: async () => {
      for (const client of clients) client.end();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      rmSync(directory, { recursive: true, force: true });
    },
  });
}

function serve(sftp: SFTPWrapper, loginDirectory: string, faults: () => PlainSftpFaults): void {
  const descriptors = new Set<number>();
  serveFolders(sftp, loginDirectory, faults);
  const answering = answeringFor(sftp);
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
      // The handle of a folder has no file.
      if (descriptors.delete(fileOf(handle))) closeSync(fileOf(handle));
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
      sftp.attrs(request, attributesOf(fstatSync(fileOf(handle))));
      return true;
    }),
  );
  sftp.on('REMOVE', (request, path) => answering(request, () => unlinkSync(path)));
  sftp.on('SETSTAT', (request, path, { mode }) => answering(request, () => chmodSync(path, mode)));
  // It ignores the mode, as some servers do.
  sftp.on('MKDIR', (request, path) =>
    answering(request, () => {
      mkdirSync(path);
    }),
  );
  sftp.on('RENAME', (request, from, to) =>
    answering(request, () => {
      if (faults().renameReplaces !== true && existsSync(to)) throw new Error('exists');
      renameSync(from, to);
    }),
  );
  sftp.on('close', () => {
    for (const descriptor of descriptors) closeSync(descriptor);
  });
}

function serveFolders(sftp: SFTPWrapper, loginDirectory: string, faults: () => PlainSftpFaults): void {
  const answering = answeringFor(sftp);
  /** By handle: the entries still to be listed. */
  const listings = new Map<number, { path: string; names: string[] }>();
  sftp.on('REALPATH', (request, path) => {
    const filename = path === '.' ? loginDirectory : path;
    sftp.name(request, [{ filename, longname: filename, attrs: {} as Attributes }]);
  });
  sftp.on('STAT', (request, path) =>
    answering(request, () => {
      sftp.attrs(request, attributesOf(statSync(path)));
      return true;
    }),
  );
  sftp.on('LSTAT', (request, path) =>
    answering(request, () => {
      sftp.attrs(request, attributesOf(lstatSync(path)));
      return true;
    }),
  );
  sftp.on('OPENDIR', (request, path) =>
    answering(request, () => {
      const id = -1 - listings.size;
      listings.set(id, { path, names: ['.', '..', ...readdirSync(path)] });
      const handle = Buffer.alloc(4);
      handle.writeInt32BE(id);
      sftp.handle(request, handle);
      return true;
    }),
  );
  sftp.on('READDIR', (request, handle) =>
    answering(request, () => {
      const { path, names } = listings.get(handle.readInt32BE()) ?? { path: '', names: [] };
      const some = names.splice(0, ENTRIES_AT_ONCE);
      const entries = some.map((filename) => ({
        filename,
        longname: '',
        attrs: (faults().bareListings === true
          ? {}
          : attributesOf(lstatSync(join(path, filename)))) as Attributes,
      }));
      if (entries.length === 0) sftp.status(request, STATUS_CODE.EOF);
      else sftp.name(request, entries);
      return true;
    }),
  );
  sftp.on('RMDIR', (request, path) => answering(request, () => rmdirSync(path)));
}

function attributesOf({ mode, uid, gid, size, atimeMs, mtimeMs }: Stats): Attributes {
  return { mode, uid, gid, size, atime: Math.floor(atimeMs / 1000), mtime: Math.floor(mtimeMs / 1000) };
}

/** Does the work, and answers OK unless the work has answered. An error becomes the status that OpenSSH would give. */
function answeringFor(sftp: SFTPWrapper): (request: number, work: () => boolean | void) => void {
  return (request, work) => {
    try {
      if (work() !== true) sftp.status(request, STATUS_CODE.OK);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'ENOENT') sftp.status(request, STATUS_CODE.NO_SUCH_FILE);
      else if (code === 'EACCES') sftp.status(request, STATUS_CODE.PERMISSION_DENIED);
      else sftp.status(request, STATUS_CODE.FAILURE);
    }
  };
}
