import { readSync } from 'node:fs';
import { Failure } from '../../../failure.ts';
import { placed, vmferry } from '../../../placed-text.ts';
import { errorCode } from '../../../system/error-code.ts';

/** Reads exactly `length` bytes at `offset` into new memory. Throws Failure `read-failed`. */
export function readExactly(path: string, fd: number, offset: number, length: number): Uint8Array {
  return readExactlyInto(Buffer.allocUnsafeSlow(length), path, fd, offset);
}

/** The same, into memory that is filled whole; returns that memory. */
export function readExactlyInto(bytes: Buffer, path: string, fd: number, offset: number): Buffer {
  let done = 0;
  while (done < bytes.length) {
    const count = readSome(path, fd, bytes, done, offset + done);
    if (count === 0)
      throw new Failure(
        'read-failed',
        `${path} ended at byte ${offset + done}: it became shorter while it was read.`,
        {
          advice: placed`Something changes the image. Find out what has it open (${vmferry('inspect', path)}), then try again.`,
        },
      );
    done += count;
  }
  return bytes;
}

function readSome(path: string, fd: number, into: Buffer, at: number, position: number): number {
  for (;;) {
    try {
      return readSync(fd, into, at, into.length - at, position);
    } catch (error) {
      const code = errorCode(error);
      if (code === 'EINTR') continue;
      throw new Failure('read-failed', `${path} cannot be read at byte ${position}: ${code}.`, {
        advice: 'The disk may be failing: check the kernel log (dmesg), and rescue what is readable first.',
        cause: error,
      });
    }
  }
}
