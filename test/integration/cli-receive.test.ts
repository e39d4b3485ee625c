import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { expect, test } from '@jest/globals';
import { startVmferry, type RunningProgram } from '../support/command-line.ts';

/** A receiver that has said that it is ready. */
async function startReceiver(...args: string[]): Promise<RunningProgram & { ready: unknown }> {
  const program = startVmferry(['receive', ...args]);
  const lines = createInterface(program.child.stdout);
  const [line] = (await once(lines, 'line')) as [string];
  return { ...program, ready: JSON.parse(line) };
}

test('says only what the protocol says on stdout, even with --json', async () => {
  const { child, ended, ready } = await startReceiver('--json');
  expect(ready).toMatchObject({ type: 'ready', protocol: 3 });
  child.stdin.end(`${JSON.stringify({ type: 'abort' })}\n`);
  const { stdout } = await ended;
  for (const line of stdout.trim().split('\n'))
    expect((JSON.parse(line) as { type: string }).type).toMatch(/^(ready|alive|aborted)$/);
});

test.each([
  ['no JSON', 'hello'],
  ['an unknown message', JSON.stringify({ type: 'explode' })],
])('says that it failed after what it cannot understand: %s', async (_, line) => {
  const { child, ended } = await startReceiver();
  child.stdin.write(`${line}\n`);
  const { stdout, exitStatus } = await ended;
  expect(exitStatus).toBe(13);
  const last = stdout.trim().split('\n').at(-1) ?? '';
  expect(JSON.parse(last)).toMatchObject({ type: 'failed', code: 'protocol-violation' });
});

test('ends when the line does', async () => {
  const { child, ended } = await startReceiver();
  child.stdin.end();
  expect(await ended).toMatchObject({ exitStatus: 12, stderr: expect.stringMatching(/^error: /) });
});

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s is an orderly end', async (name) => {
  const { child, ended } = await startReceiver();
  child.kill(name);
  const { exitStatus, stderr } = await ended;
  expect(stderr).toContain('Stopping');
  expect(exitStatus).toBe(130);
});
