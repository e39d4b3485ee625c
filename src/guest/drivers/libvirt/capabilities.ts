import { Failure } from '../../../failure.ts';
import { command, here, placed } from '../../../placed-text.ts';
import type { GuestDefinition } from '../../definition.ts';
import { hasEmulatedTpm } from './checks/tpm.ts';
import { domainTypeOf } from './domain/domain-type.ts';
import { emulatorOf } from './domain/emulator.ts';
import { parseXml } from './xml/document.ts';
import { all, attributeOf, find, textOf } from './xml/elements.ts';
import type { Element } from '@xmldom/xmldom';
import type { Virsh } from './virsh.ts';

/** What the QEMU here cannot do: the machine type, the processor's model, UEFI, an emulated TPM. By `virsh domcapabilities`. */
export async function checkCapabilities(
  definition: GuestDefinition,
  virsh: Virsh,
  signal: AbortSignal,
): Promise<Failure[]> {
  const { name, native, machineType } = definition;
  const emulator = native === undefined ? undefined : emulatorOf(native.text);
  const type = native === undefined ? 'qemu' : domainTypeOf(native.text);
  const ask = (machine?: string) =>
    virsh.ask(
      [
        'domcapabilities',
        `--virttype=${type}`,
        ...(emulator === undefined ? [] : [`--emulatorbin=${emulator}`]),
        ...(machine === undefined ? [] : [`--machine=${machine}`]),
      ],
      { signal },
    );
  const answer = await ask(machineType);
  if (!answer.ok) {
    const isMachine = machineType !== undefined && (await ask()).ok;
    const what = isMachine ? `the machine type ${machineType}` : `a guest of type ${type}`;
    return [
      new Failure('hypervisor-missing', placed`QEMU cannot run ${what} ${here}: ${answer.problem}.`, {
        advice: isMachine
          ? 'Install a version of QEMU that has it, or give the guest a newer machine type.'
          : 'Install QEMU (on Debian: qemu-system-x86). A guest of type kvm needs a processor with virtualization.',
      }),
    ];
  }
  const { root } = parseXml(answer.text, 'the answer of virsh domcapabilities');
  return [
    ...cpuProblems(definition, root),
    ...firmwareProblems(definition, root, name),
    ...tpmProblems(definition, root, name),
  ];
}

function cpuProblems({ name, cpuModel, native }: GuestDefinition, root: Element): Failure[] {
  if (cpuModel === undefined) return [];
  const modes = all(find(root, 'cpu'), 'mode');
  const mode = modes.find((element) => attributeOf(element, 'name') === cpuModel);
  const isMode = mode !== undefined && cpuModel !== 'custom';
  const custom = modes.find((element) => attributeOf(element, 'name') === 'custom');
  const model = all(custom, 'model').find((element) => textOf(element) === cpuModel);
  const works = isMode
    ? attributeOf(mode, 'supported') === 'yes'
    : model !== undefined && (attributeOf(model, 'usable') !== 'no' || !isChecked(native));
  if (works) return [];
  return [
    new Failure('hypervisor-missing', placed`The processor ${cpuModel} of ${name} cannot be had ${here}.`, {
      advice: placed`See \`${command('virsh', 'domcapabilities')}\` for the models that can, and choose one with \`virsh edit\`.`,
    }),
  ];
}

function firmwareProblems({ firmware }: GuestDefinition, root: Element, name: string): Failure[] {
  if (firmware?.kind !== 'uefi' || firmware.code !== null) return [];
  const choices = all(find(root, 'os'), 'enum').find(
    (element) => attributeOf(element, 'name') === 'firmware',
  );
  if (all(choices, 'value').some((element) => textOf(element) === 'efi')) return [];
  return [
    new Failure('hypervisor-missing', placed`${name} needs UEFI firmware, and libvirt finds none ${here}.`, {
      advice: placed`On Debian: \`${command('apt-get', 'install', 'ovmf')}\`.`,
    }),
  ];
}

function tpmProblems({ native }: GuestDefinition, root: Element, name: string): Failure[] {
  if (native === undefined || !hasEmulatedTpm(native.text)) return [];
  const tpm = find(root, 'devices', 'tpm');
  const backends = all(tpm, 'enum').find((element) => attributeOf(element, 'name') === 'backendModel');
  // Versions of libvirt that say nothing of TPMs.
  if (tpm === undefined) return [];
  if (all(backends, 'value').some((element) => textOf(element) === 'emulator')) return [];
  return [
    new Failure(
      'hypervisor-missing',
      placed`${name} has an emulated TPM, and libvirt can emulate none ${here}.`,
      {
        advice: placed`On Debian: \`${command('apt-get', 'install', 'swtpm', 'swtpm-tools')}\`.`,
      },
    ),
  ];
}

/** With `check='none'`, as libvirt writes for its default model, QEMU leaves out what the processor cannot do. */
function isChecked(native: GuestDefinition['native']): boolean {
  if (native === undefined) return true;
  return attributeOf(find(parseXml(native.text, 'the domain').root, 'cpu'), 'check') !== 'none';
}
