import { expect, test } from '@jest/globals';
import { asFailure, Failure } from '../../../src/failure.ts';
import { explainNoReceiver } from '../../../src/operations/migrate/line/sftp-only-account.ts';
import { connectSsh } from '../../../src/store/sftp/ssh-connection.ts';
import { startSshServer } from '../../support/ssh/ssh-server.ts';
import { describeWithTools } from '../../support/programs/tools.ts';

const context = { signal: new AbortController().signal, report: () => undefined };
const died = new Failure('receiver-died', 'The vmferry on new ended with status 1.');

/** The failure on a server of this configuration where vmferry ends at once. */
async function said(...sshdConfig: string[]): Promise<Failure> {
  await using server = await startSshServer({ sshdConfig });
  await using connection = await connectSsh(server.destination, server, context);
  return await explainNoReceiver(died, connection);
}

describeWithTools('an account in which no receiver starts', ['ssh', 'sshd', 'ssh-keygen'], () => {
  test('that allows only SFTP is recognized', async () => {
    const failure = await said('ForceCommand internal-sftp');
    expect(failure).toMatchObject({ code: 'receiver-missing' });
    expect(failure.message).toContain('The account of server allows SFTP only');
    expect(failure.advice).toContain('vmferry backup GUEST --to server:DIR');
  });

  test('that runs commands keeps its own failure', async () => {
    expect(await said()).toBe(died);
  });

  test('whose server allows only one session gets advice what to set', async () => {
    await using server = await startSshServer({ sshdConfig: ['MaxSessions 1'] });
    await using connection = await connectSsh(server.destination, server, context);
    const failure = asFailure(await connection.exec('true', context.signal).catch((error: unknown) => error));
    expect(failure.message).toContain('open failed');
    expect(failure.advice).toContain('MaxSessions to 10');
  });
});
