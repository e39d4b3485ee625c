import type { Context } from '../../events.ts';
import { newHardware, receiveCommand } from '../../wire/new-hardware.ts';
import { RemoteReceiver } from '../../wire/remote-receiver.ts';
import type { MigrateDependencies } from './migrate-dependencies.ts';

/** How to reach the vmferry on the machine where a guest went. */
export interface MachineThere {
  destination: string;
  sshConfigFile: string | null;
  remoteCommand: string;
}

/** Starts a receiver on the other machine for one piece of work, and ends it afterwards. */
export async function withReceiver<Result>(
  { destination, sshConfigFile, remoteCommand }: MachineThere,
  { connect }: Pick<MigrateDependencies, 'connect'>,
  context: Context,
  work: (receiver: RemoteReceiver) => Promise<Result>,
): Promise<Result> {
  await using connection = await connect(destination, { sshConfigFile }, context);
  const machine = newHardware({ destination, sshConfigFile }, remoteCommand);
  const process = await connection.exec(receiveCommand(machine), context.signal);
  await using receiver = new RemoteReceiver(process, machine);
  await receiver.ready(context.signal);
  return await work(receiver);
}
