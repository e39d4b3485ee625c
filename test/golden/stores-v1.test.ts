import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { vmferry } from '../support/programs/command-line.ts';
import { scratchDirectory } from '../support/images/images.ts';
import { restoreByPython } from '../support/stores/restore-encrypted.ts';
import { describeWithTools } from '../support/programs/tools.ts';

const fixtures = join(import.meta.dirname, '..', '..', 'fixtures');
const stores = join(fixtures, 'v1', 'stores');
const expected = JSON.parse(readFileSync(join(stores, 'expected.json'), 'utf8')) as {
  passphrase: string;
  states: readonly { plain: string; encrypted: string; sha256: string }[];
};
const guest = 'disk.img';

const scratch = scratchDirectory();
const passphraseFile = join(scratch.path, 'passphrase');
const environment = { VMFERRY_STATE_DIR: join(scratch.path, 'state') };

beforeAll(() => {
  writeFileSync(passphraseFile, `${expected.passphrase}\n`, { mode: 0o600 });
  // A verify writes a record.
  cpSync(stores, join(scratch.path, 'stores'), { recursive: true });
});
afterAll(() => {
  scratch[Symbol.dispose]();
});

function directory(name: string): string {
  const path = join(scratch.path, name);
  mkdirSync(path);
  return path;
}

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

describe.each(['plain', 'encrypted'] as const)('a store of version 1, %s,', (kind) => {
  const store = join(scratch.path, 'stores', kind);
  const secret = kind === 'encrypted' ? ['--passphrase-file', passphraseFile] : [];

  /** The result of the command. */
  async function run(...args: string[]): Promise<Record<string, unknown>> {
    const { exitStatus, stdout, stderr } = await vmferry([...args, ...secret, '--json'], environment);
    expect({ exitStatus, stderr }).toEqual({ exitStatus: 0, stderr: '' });
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Record<string, unknown>;
  }

  test('is listed, with its protected and checked snapshots', async () => {
    const { guests } = (await run('list', store)) as { guests: { snapshots: unknown[] }[] };
    expect(guests).toHaveLength(1);
    expect(guests[0]?.snapshots).toMatchObject(
      expected.states.map((state, index) => ({
        id: state[kind],
        consistency: 'halted',
        isProtected: index === 0,
        verifiedAt: expect.stringContaining('2026-11-22'),
      })),
    );
  });

  test('has no damage in any chunk', async () => {
    expect(await run('verify', store, '--read-data')).toMatchObject({ type: 'verified' });
  });

  test.each(expected.states)('restores $sha256', async (state) => {
    const target = join(directory(`${kind}-${state.sha256}`), guest);
    await run('restore', store, `${guest}@${state[kind]}`, '--to', target);
    expect(sha256(target)).toBe(state.sha256);
  });
});

describeWithTools('a plain store of version 1, with only the shell script,', ['tar', 'zstd', 'awk'], () => {
  test.each(expected.states)('restores $sha256', (state) => {
    const target = directory(`shell-${state.sha256}`);
    const script = join(fixtures, 'restore-snapshot.sh');
    const args = [script, join(stores, 'plain'), guest, state.plain, target];
    const { status, stderr } = spawnSync('sh', args, { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(sha256(join(target, guest))).toBe(state.sha256);
  });
});

describeWithTools(
  'a store of version 1, with only the Python script,',
  ['python3', 'openssl', 'zstd'],
  () => {
    test.each(
      expected.states.flatMap((state) => [
        { kind: 'plain' as const, ...state },
        { kind: 'encrypted' as const, ...state },
      ]),
    )('$kind, restores $sha256', ({ kind, ...state }) => {
      const target = directory(`python-${kind}-${state.sha256}`);
      const { status, stderr } = restoreByPython(
        join(stores, kind),
        guest,
        state[kind],
        passphraseFile,
        target,
      );
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(sha256(join(target, guest))).toBe(state.sha256);
    });
  },
);
