import { Failure } from '../../../failure.ts';
import type { SshConnection } from '../../../store/sftp/ssh-connection.ts';

const PROBE_LIMIT_MS = 5000;
/** SFTP's first message, version 3: its length, SSH_FXP_INIT, the version (draft-ietf-secsh-filexfer-02, 4). */
const GREETING = Buffer.from([0, 0, 0, 5, 1, 0, 0, 0, 3]);
const VERSION_TYPE = 2;
const TYPE_OFFSET = 4;
/** What sshd prints to standard output for a command, if ForceCommand is internal-sftp. */
const SSHD_REFUSAL = /sftp connections only/i;

/**
 * Explains why a receiver did not start. In an account that allows SFTP only, sshd refuses any command
 * (ForceCommand internal-sftp) or starts an SFTP server for it (ForceCommand with the path of one), so the
 * receiver seems to end for no reason. Returns the failure itself for any other account.
 */
export async function explainNoReceiver(failure: Failure, connection: SshConnection): Promise<Failure> {
  if (failure.code !== 'receiver-died' || !(await allowsSftpOnly(connection))) return failure;
  const { destination } = connection;
  return new Failure(
    'receiver-missing',
    `The account of ${destination} allows SFTP only: vmferry cannot be started there, and a move needs that.`,
    {
      advice:
        'Log in there as a user who may run commands (without ForceCommand and ChrootDirectory in its ' +
        `sshd_config). A backup needs SFTP only: vmferry backup GUEST --to ${destination}:DIR`,
      cause: failure,
    },
  );
}

async function allowsSftpOnly(connection: SshConnection): Promise<boolean> {
  const signal = AbortSignal.timeout(PROBE_LIMIT_MS);
  try {
    // any other account runs the command, which prints nothing
    const remote = await connection.exec('true', signal);
    // it may have ended already, but its output is still to be read
    await remote.stdin.write(GREETING).catch(() => undefined);
    remote.stdin.end();
    const answer = Buffer.concat((await remote.stdout.toArray({ signal })) as Buffer[]);
    return SSHD_REFUSAL.test(answer.toString('latin1')) || answer[TYPE_OFFSET] === VERSION_TYPE;
  } catch {
    return false;
  }
}
