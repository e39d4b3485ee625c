import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../../failure.ts';
import { command, here, placed } from '../../placed-text.ts';
import { readUmlCard } from '../conversion/uml-arguments.ts';
import type { GuestDefinition, NetworkCard } from '../definition.ts';

/** All cards of the guest; those of User Mode Linux are in its command line. */
export function cardsOf({ driver, commandLine, networkCards = [] }: GuestDefinition): readonly NetworkCard[] {
  if (driver !== 'uml') return networkCards;
  return commandLine.flatMap((argument) => readUmlCard(argument)?.card ?? []);
}

/**
 * What is wrong with the bridges and tap devices that the guest's cards are attached to.
 * @param directory where the kernel shows network devices (sysfs)
 */
export function checkNetwork(
  definition: GuestDefinition,
  directory = '/sys/class/net',
  isRoot = process.geteuid?.() === 0,
): Failure[] {
  const attached = cardsOf(definition).flatMap(({ attachedTo }) =>
    'name' in attachedTo ? [attachedTo] : [],
  );
  const unique = attached.filter(
    ({ name }, index) => attached.findIndex((one) => one.name === name) === index,
  );
  return unique.flatMap(({ kind, name }) => {
    if (kind === 'bridge') return checkBridge(name, directory);
    // Root's hypervisor makes a tap device that is missing. The networks of libvirt are known to libvirt alone.
    const isMissing = kind === 'tap' && !isRoot && !existsSync(join(directory, name));
    return isMissing ? [tapMissing(name)] : [];
  });
}

function checkBridge(name: string, directory: string): Failure[] {
  const device = join(directory, name);
  if (!existsSync(device))
    return [
      bridgeProblem(
        placed`The bridge ${name} is not ${here}.`,
        placed`Make it (\`${command('ip', 'link', 'add', name, 'type', 'bridge')}\`, and for good in the configuration of the network), or attach the guest's card to another one: \`${command('ip', '-br', 'link', 'show', 'type', 'bridge')}\` lists them.`,
      ),
    ];
  // Open vSwitch's bridges look like other devices.
  if (!existsSync(join(device, 'bridge')) && !existsSync('/sys/module/openvswitch'))
    return [
      bridgeProblem(
        placed`The network device ${name} ${here} is no bridge.`,
        placed`Attach the guest's card to a bridge: \`${command('ip', '-br', 'link', 'show', 'type', 'bridge')}\` lists them.`,
      ),
    ];
  if (isUp(device)) return [];
  return [
    bridgeProblem(
      placed`The bridge ${name} ${here} is down.`,
      placed`Start it: \`${command('ip', 'link', 'set', name, 'up')}\`.`,
    ),
  ];
}

/** IFF_UP in linux/if.h: whether it was switched on. A bridge without ports is on, too. */
function isUp(device: string): boolean {
  try {
    return (Number(readFileSync(join(device, 'flags'), 'utf8')) & 1) === 1;
  } catch {
    // It cannot be told.
    return true;
  }
}

function bridgeProblem(
  ...[message, advice]: [ReturnType<typeof placed>, ReturnType<typeof placed>]
): Failure {
  return new Failure('hypervisor-missing', message, { advice });
}

function tapMissing(name: string): Failure {
  return new Failure('hypervisor-missing', placed`The tap device ${name} is not ${here}.`, {
    advice: placed`Make it as root: \`${command('ip', 'tuntap', 'add', name, 'mode', 'tap')}\`; add \`user NAME\` for the user that the guest runs as.`,
  });
}
