import { isDiskDevice } from './disks.ts';
import { AGENT_CHANNEL, monitorChardevs } from './monitors.ts';
import { isCardDevice } from './network.ts';
import type { QemuOption } from './option-list.ts';
import type { Reading } from './reading.ts';
import { parseSettings } from './settings.ts';

/** Read by the other files of this folder, or about QEMU on this machine and not about the guest. */
const handled = new Set(
  `D L M S accel action alt-grab append async-teardown bios blockdev cdrom chardev cpu ctrl-grab curses d daemonize
  device display drive echr enable-kvm enable-sync-profile fda fdb full-screen hda hdb hdc hdd initrd incoming
  kernel loadvm localtime m machine mon monitor msg mtdblock name net netdev nic no-frame no-kvm no-quit no-reboot
  no-shutdown no-user-config nodefaults nodefconfig nographic nouserconfig only-migratable pflash pidfile qmp
  qmp-pretty readconfig rtc sd sdl serial show-cursor smp snapshot tdf trace uuid xen-domid`.split(/\s+/),
);

/** Devices that carry others, or that every hypervisor has in its way. */
const plainDevices =
  /^(?:ahci|ich9-ahci|virtio-scsi(?:-pci|-device|-single)?|virtio-serial(?:-pci|-device)?|virtconsole|lsi\w*|mptsas1068|megasas|pcie-root-port|pci-bridge|pcie-pci-bridge|qemu-xhci|nec-usb-xhci|usb-ehci|piix\d-\S+|ich9-usb-\S+|isa-serial|usb-tablet|usb-kbd|usb-mouse|VGA|virtio-balloon(?:-pci)?|isa-fdc|piix3-ide|piix4-ide|scsi-controller)$/;

/** Notes each option that has no neutral field: it is lost under another hypervisor. */
export function noteOthers(reading: Reading): void {
  const monitors = monitorChardevs(reading.options);
  for (const option of reading.options) if (isBeyond(option, monitors, reading)) reading.noteBeyond(option);
}

function isBeyond(option: QemuOption, monitors: ReadonlySet<string>, reading: Reading): boolean {
  const { name, value } = option;
  switch (name) {
    case 'device': {
      const settings = parseSettings(value, 'driver');
      const driver = settings.get('driver') ?? '';
      return !isDiskDevice(driver) && !isCardDevice(settings) && !plainDevices.test(driver);
    }
    case 'chardev':
      return !isPlainChardev(parseSettings(value, 'backend'), monitors, reading);
    case 'object':
      return !/^(?:memory-backend-ram|memory-backend-memfd|iothread)$/.test(
        parseSettings(value, 'qom-type').get('qom-type') ?? '',
      );
    case 'boot':
      return !/^(?:[cC]|order=c|menu=\w+|strict=on)(?:,(?:menu=\w+|strict=on))*$/.test(value);
    case 'vga':
      return !['std', 'none', 'cirrus'].includes(value);
    case 'usb':
    case 'mem-prealloc':
    case 'k':
      return false;
    default:
      return !handled.has(name);
  }
}

/** Of a monitor, of the guest's agent (noted with its device), or of a console. */
function isPlainChardev(
  settings: ReadonlyMap<string, string>,
  monitors: ReadonlySet<string>,
  reading: Reading,
): boolean {
  const id = settings.get('id') ?? '';
  if (monitors.has(id)) return true;
  return reading.options.some(({ name, value }) => {
    if (name === 'serial') return value === `chardev:${id}`;
    if (name !== 'device') return false;
    const device = parseSettings(value, 'driver');
    return (
      device.get('chardev') === id &&
      (device.get('driver') === 'virtconsole' || device.get('name') === AGENT_CHANNEL)
    );
  });
}
