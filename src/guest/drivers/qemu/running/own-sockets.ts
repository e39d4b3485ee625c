import { AGENT_CHANNEL } from '../arguments/monitors.ts';
import { formatSettings, withSetting } from '../arguments/settings.ts';

/** Ids that tell the sockets which vmferry gives to guests from those that they have for others. */
const QMP_ID = 'vmferry-qmp';
const AGENT_ID = 'vmferry-agent';

function socketText(id: string, path: string): string {
  const settings = formatSettings([
    ['id', id],
    ['path', path],
    ['server', 'on'],
    ['wait', 'off'],
  ]);
  return `socket,${settings}`;
}

export function monitorArguments(socket: string): string[] {
  return ['-chardev', socketText(QMP_ID, socket), '-mon', `chardev=${QMP_ID},mode=control`];
}

/** The arguments as they were before `monitorArguments` were added: they belong to one run of the guest. */
export function withoutOwnMonitor(argv: readonly string[]): string[] {
  const isOwn = (argument: string | undefined): boolean =>
    argument !== undefined &&
    (argument.startsWith(`socket,id=${QMP_ID},`) || argument.startsWith(`chardev=${QMP_ID},`));
  return argv.filter((argument, index) => !isOwn(argument) && !isOwn(argv[index + 1]));
}

/** A channel for an agent in the guest. It stays among the guest's arguments, because the guest sees it as a device. */
export function agentArguments(socket: string): string[] {
  return [
    '-chardev',
    socketText(AGENT_ID, socket),
    '-device',
    'virtio-serial-pci,id=vmferry-serial',
    '-device',
    `virtserialport,chardev=${AGENT_ID},name=${AGENT_CHANNEL}`,
  ];
}

/** The socket of such a channel lies elsewhere in each run. */
export function withAgentSocket(args: readonly string[], socket: string): string[] {
  return args.map((argument) =>
    argument.startsWith(`socket,id=${AGENT_ID},`)
      ? withSetting(argument, 'path', socket, 'backend')
      : argument,
  );
}
