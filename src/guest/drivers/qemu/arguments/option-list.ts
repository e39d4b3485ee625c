import { Failure } from '../../../../failure.ts';

/** One option of a command line of QEMU. */
export interface QemuOption {
  /** Its number among the arguments; the first argument after the program is 1. */
  place: number;
  /** Without dashes: `drive`. A disk that is given without an option is a `hda`, as for QEMU. */
  name: string;
  /** Empty for an option that has none. */
  value: string;
  /** How many arguments it takes up: 1 or 2. */
  width: number;
}

/** By `qemu-system-x86_64 -help`, and by the manuals of older versions. */
const withoutValue = new Set(
  `S alt-grab async-teardown ctrl-grab curses daemonize enable-fips enable-kvm enable-sync-profile full-screen
  localtime mem-prealloc no-acpi no-fd-bootchk no-frame no-hpet no-kvm no-kvm-irqchip no-kvm-pit
  no-kvm-pit-reinjection no-quit no-reboot no-shutdown no-user-config nodefaults nodefconfig nographic
  nouserconfig old-param only-migratable portrait preconfig rtc-td-hack s sdl semihosting singlestep snapshot
  std-vga tdf usb win2k-hack xen-attach xen-domid-restrict`.split(/\s+/),
);

const withValue = new Set(
  `D L M accel acpitable action add-fd append audio audiodev balloon bios blockdev boot bt cdrom chardev chroot
  clock compat cpu d debugcon device dfilter display drive dtb dump-vmstate echr fda fdb fsdev fw_cfg g gdb
  global hda hdb hdc hdd hdachs icount id incoming initrd iscsi k kernel kvm-shadow-memory loadvm m machine
  mem-path mon monitor msg mtdblock name net netdev nic no-id numa object option-rom overcommit parallel pflash
  pidfile plugin prom-env qmp qmp-pretty qtest qtest-log readconfig realtime redir rotate rtc run-with runas
  sandbox sd seed semihosting-config serial set show-cursor smbios smp soundhw spice startdate tb-size tpmdev
  trace usbdevice uuid vga virtfs virtfs_synth virtioconsole vnc watchdog watchdog-action win2k-install writeconfig
  xen-create xen-domid`.split(/\s+/),
);

export interface OptionList {
  options: readonly QemuOption[];
  problems: readonly Failure[];
}

/** @param args the arguments, without the program's name */
export function readOptions(args: readonly string[]): OptionList {
  const options: QemuOption[] = [];
  const problems: Failure[] = [];
  for (let index = 0; index < args.length;) {
    const place = index + 1;
    const argument = args[index] ?? '';
    // A lone dash is a file name for QEMU, too.
    const [, name] = /^--?(.+)$/s.exec(argument) ?? [];
    if (name === undefined) {
      options.push({ place, name: 'hda', value: argument, width: 1 });
      index += 1;
    } else if (withoutValue.has(name)) {
      options.push({ place, name, value: '', width: 1 });
      index += 1;
    } else if (withValue.has(name) && index + 1 < args.length) {
      options.push({ place, name, value: args[index + 1] ?? '', width: 2 });
      index += 2;
    } else {
      problems.push(notUnderstood(place, argument, 'vmferry does not know this option'));
      // Whether the next argument belongs to it is unknown.
      index += args[index + 1]?.startsWith('-') === false ? 2 : 1;
    }
  }
  return { options, problems };
}

/** The beginning of what `native.beyond` and failures say about an option. */
export function describeOption({ place, name, value, width }: QemuOption): string {
  const shown = width === 1 && name === 'hda' ? value : width === 1 ? `-${name}` : `-${name} ${value}`;
  return `argument ${place}: ${shortened(withoutSecrets(shown))}`;
}

/** Secrets stand in `-object secret,data=…`, and passwords in `-spice password=…`. */
function withoutSecrets(text: string): string {
  return text.replaceAll(/\b(data|password|passwd)(=|":\s*")[^,"]+/g, '$1$2…');
}

const MOST_CHARACTERS = 200;

function shortened(text: string): string {
  return text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text;
}

export function notUnderstood(place: number, argument: string, reason: string, advice?: string): Failure {
  return new Failure('guest-unsupported', `QEMU’s argument ${place}, ${shortened(argument)}: ${reason}.`, {
    advice:
      advice ??
      'Start the guest without it, or move its disks as images: halt the guest, and give their paths to vmferry.',
  });
}

/** The same for an option. */
export function refused(option: QemuOption, reason: string, advice?: string): Failure {
  const shown = describeOption(option).replace(/^argument \d+: /, '');
  return notUnderstood(option.place, shown, reason, advice);
}
