import { expect, test } from '@jest/globals';
import { Failure } from '../../../../src/failure.ts';
import { SftpDirectory } from '../../../../src/store/sftp/directory.ts';
import { SftpRefusal, sftpStatus } from '../../../../src/store/sftp/refusal.ts';
import type { SftpSession } from '../../../../src/store/sftp/session.ts';

/** A server that ignores the mode of a new folder. `cutAtMode` ends the next connection before a mode is set. */
class Server {
  readonly modes = new Map<string, number>();
  cutAtMode = false;

  connect(): SftpSession {
    return {
      offers: () => false,
      linkFacts: () => Promise.resolve({ kind: 'folder' }),
      makeDirectory: (path: string) => {
        if (this.modes.has(path)) return Promise.reject(new SftpRefusal(sftpStatus.failure, 'exists'));
        this.modes.set(path, 0o755);
        return Promise.resolve();
      },
      setMode: (path: string, mode: number) => {
        if (this.cutAtMode)
          return Promise.reject(new Failure('connection-lost', 'Cut.', { transient: true }));
        this.modes.set(path, mode);
        return Promise.resolve();
      },
    } as unknown as SftpSession;
  }
}

test('a folder gets its mode from the next connection if the line is cut before it has it', async () => {
  const server = new Server();
  server.modes.set('/srv/old', 0o775);
  const unsettled = new Set<string>();
  const connected = (): SftpDirectory => new SftpDirectory(server.connect(), '/srv', 'host:/srv', unsettled);

  server.cutAtMode = true;
  await expect(connected().makeFoldersOf('old/new/pack')).rejects.toMatchObject({ code: 'connection-lost' });
  expect(server.modes.get('/srv/old/new')).toBe(0o755);

  server.cutAtMode = false;
  await connected().makeFoldersOf('old/new/pack');
  expect(server.modes.get('/srv/old')).toBe(0o775);
  expect(server.modes.get('/srv/old/new')).toBe(0o700);

  // Who changes the mode later has it as he wants.
  server.modes.set('/srv/old/new', 0o750);
  await connected().makeFoldersOf('old/new/pack');
  expect(server.modes.get('/srv/old/new')).toBe(0o750);
});
