import { expect } from '@jest/globals';
import { asFailure, type Failure } from '../../../src/failure.ts';
import { connectSsh } from '../../../src/store/sftp/ssh-connection.ts';
import { run } from '../../../src/system/processes.ts';

/** Connects as vmferry does. Returns the failure, or null. */
export async function connectionFailure(
  sshConfigFile: string,
  destination = 'server',
): Promise<Failure | null> {
  const context = { signal: new AbortController().signal, report: () => undefined };
  try {
    const connection = await connectSsh(destination, { sshConfigFile }, context);
    await connection[Symbol.asyncDispose]();
    return null;
  } catch (error) {
    return asFailure(error);
  }
}

/** Whether ssh itself logs in without asking. */
export async function sshConnects(sshConfigFile: string): Promise<boolean> {
  const { exitStatus } = await run('ssh', ['-F', sshConfigFile, '-o', 'BatchMode=yes', 'server', 'true']);
  return exitStatus === 0;
}

/** The failure of vmferry to connect, or null. ssh itself must give the same result. */
export async function failureAsSshDoes(sshConfigFile: string): Promise<Failure | null> {
  const accepted = await sshConnects(sshConfigFile);
  const failure = await connectionFailure(sshConfigFile);
  expect({ accepted: failure === null, failure }).toMatchObject({ accepted });
  return failure;
}

/** Runs the command advised for an unknown host key, and answers yes. */
export async function acceptAsAdvised(failure: Failure | null): Promise<void> {
  const command = /^Accept it once with: (.*)$/m.exec(failure?.advice ?? '')?.[1] ?? 'false';
  const answered = command.replace('StrictHostKeyChecking=ask', 'StrictHostKeyChecking=accept-new');
  expect(answered).not.toBe(command);
  const { exitStatus, stderr } = await run('sh', ['-c', answered]);
  expect({ exitStatus, stderr }).toMatchObject({ exitStatus: 0 });
}
