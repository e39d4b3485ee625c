import { expect, test } from '@jest/globals';
import type { SftpSession } from '../../../../src/store/sftp/session.ts';
import { openSftpStore } from '../../../../src/store/sftp/sftp-store.ts';

const session = { offers: () => true } as unknown as SftpSession;

test.each([
  ['backup@offsite', null, 'backup@offsite:/srv'],
  ['backup@offsite', 2222, 'sftp://backup@offsite:2222/srv'],
  ['offsite', 22, 'sftp://offsite:22/srv'],
  ['backup@fe80::1', 2222, 'sftp://backup@[fe80::1]:2222/srv'],
  ['::1', 2222, 'sftp://[::1]:2222/srv'],
])('a store on %s, port %s, is at %s', (hostName, port, location) => {
  expect(openSftpStore(session, '/srv', hostName, port, new Set()).location).toBe(location);
});
