import { spawnSync } from 'node:child_process';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The time of day as programs see it that are started with these variables. Their monotonic clock stays as it is. */
export interface JumpingClock extends Disposable {
  /** `NAME=VALUE`, as `env` takes them. */
  variables: readonly string[];
  /** From now on their clock differs by so much from this machine's. */
  setOffset(offsetSeconds: number): void;
}

/** Uses libfaketime, which reads the offset from a file at each call. The times of files stay as they are. */
export function startJumpingClock(): JumpingClock {
  const directory = mkdtempSync(join(tmpdir(), 'vmferry-clock-'));
  const file = join(directory, 'offset');
  const setOffset = (offsetSeconds: number): void => {
    const sign = offsetSeconds < 0 ? '' : '+';
    writeFileSync(`${file}.new`, `${sign}${offsetSeconds}s\n`);
    renameSync(`${file}.new`, file);
  };
  setOffset(0);
  return {
    variables: [
      `LD_PRELOAD=${libraryPath()}`,
      `FAKETIME_TIMESTAMP_FILE=${file}`,
      'FAKETIME_NO_CACHE=1',
      'DONT_FAKE_MONOTONIC=1',
      'FAKETIME_DONT_FAKE_MONOTONIC=1',
      'NO_FAKE_STAT=1',
    ],
    setOffset,
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** The wrapper program knows where its library is. */
function libraryPath(): string {
  const { stdout, stderr, status } = spawnSync('faketime', ['-f', '+0s', 'printenv', 'LD_PRELOAD'], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`faketime: ${stderr}`);
  return stdout.trim();
}
