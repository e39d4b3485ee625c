import { expect, test } from '@jest/globals';
import { asFailure, orShortage } from '../../src/failure.ts';

const systemError = (code: string, syscall: string) =>
  Object.assign(new Error(`${code}: as the system has it, ${syscall}`), { code, syscall });

test.each([
  [systemError('EMFILE', 'open'), /ulimit -n 1024/],
  [systemError('ENFILE', 'open'), /fs[.]file-max/],
  [systemError('ENOMEM', 'spawn ssh'), /swap/],
  [systemError('EAGAIN', 'spawn ssh'), /ulimit -u/],
  [
    Object.assign(new Error('Worker initialization failure: EMFILE'), { code: 'ERR_WORKER_INIT_FAILED' }),
    /ulimit -n 1024/,
  ],
])('%s is no defect, and has a cure', (error, advice) => {
  expect(asFailure(error)).toMatchObject({
    code: 'resources-short',
    advice: expect.stringMatching(advice),
    cause: error,
  });
  expect(orShortage(error)).toMatchObject({ code: 'resources-short' });
});

test('a directory that was deleted is no defect', () => {
  expect(asFailure(systemError('ENOENT', 'uv_cwd'))).toMatchObject({
    code: 'usage',
    message: 'The directory that you are in was deleted.',
  });
});

test.each([systemError('EAGAIN', 'read'), systemError('EIO', 'read'), new TypeError('x is not a function')])(
  '%s is not taken for a lack of something',
  (error) => {
    expect(asFailure(error).code).toBe('internal');
    expect(orShortage(error)).toBe(error);
  },
);
