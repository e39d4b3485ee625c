import { expect, test } from '@jest/globals';
import { explainRefusedWrite } from '../../../../src/store/sftp/failure.ts';
import { SftpRefusal } from '../../../../src/store/sftp/refusal.ts';

const room = { availableBytes: 1e9, availableFiles: 1000, readOnly: false };

test.each([
  [3, room, 'target-not-writable', 'permission denied'],
  [4, { ...room, availableBytes: 4096 }, 'target-full', 'is full: 4.00 KiB left'],
  [4, { ...room, availableFiles: 0 }, 'target-full', 'no inode is left'],
  [4, { ...room, readOnly: true, availableBytes: 0 }, 'target-not-writable', 'mounted read-only'],
  [4, room, 'target-not-writable', 'did not say why; 954 MiB are left there'],
  [4, null, 'target-not-writable', 'did not say why.'],
  // Some servers give this status if writing is not allowed.
  [2, { ...room, readOnly: true }, 'target-not-writable', 'mounted read-only'],
  [2, room, 'target-not-writable', 'did not say why'],
  [3, { ...room, readOnly: true }, 'target-not-writable', 'mounted read-only'],
  [5, room, 'transfer-failed', 'refused the data: Failure'],
])('status %d with room %j is %s', (status, left, code, text) => {
  const failure = explainRefusedWrite(new SftpRefusal(status, 'Failure'), {
    location: 'new:/srv',
    neededBytes: 8192,
    room: left,
    isThere: true,
  });
  expect(failure.code).toBe(code);
  expect(failure.message).toContain(text);
  expect(failure.message).toContain('new:/srv');
});

test('no such file means a missing directory if the directory does not exist', () => {
  const refused = { location: 'new:/srv', neededBytes: 1, room: null, isThere: false };
  const failure = explainRefusedWrite(new SftpRefusal(2, 'no'), refused);
  expect(failure.code).toBe('target-missing');
  expect(failure.message).toBe('There is no directory new:/srv.');
});

test('the server’s own message is shown', () => {
  const refused = { location: 'new:/srv', neededBytes: 1, room: null, isThere: true };
  const failure = explainRefusedWrite(new SftpRefusal(4, 'Too many open handles.'), refused);
  expect(failure.message).toBe('new:/srv refused the data and said: Too many open handles.');
});
