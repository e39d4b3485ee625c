import { TextEdits } from './edits.ts';
import { parseConfig } from './parse.ts';
import { quoteForXl } from './scan.ts';
import { Settings } from './settings.ts';

/** What a configuration names of the control domain, beside disks, kernel and bridges. Each with its line. */
export interface NamedFiles {
  /** Absolute paths of files that have to be there. */
  files: readonly { key: string; line: number; path: string }[];
  /** Scripts of cards: a name in the directory of Xen's scripts, or an absolute path. */
  scripts: readonly { line: number; name: string }[];
  /** Addresses of devices that are passed through: `0000:03:00.0`. */
  pciDevices: readonly { line: number; address: string }[];
}

const fileKeys = [
  'bootloader',
  'device_model_override',
  'bios_path_override',
  'acpi_firmware',
  'smbios_firmware',
  'device_tree',
];

/** @param text one that `readXenConfig` can read */
export function readNamedFiles(text: string): NamedFiles {
  const settings = new Settings(parseConfig(text));
  const files = fileKeys.flatMap((key) => {
    const setting = settings.get(key);
    const path = setting?.value.kind === 'atom' ? setting.value.text : '';
    return setting !== undefined && path.startsWith('/') ? [{ key, line: setting.line, path }] : [];
  });
  const scripts = settings.atoms('vif').flatMap(({ text: spec, line }) => {
    const name = /(?:^|,)\s*script\s*=\s*([^,\s]+)/.exec(spec)?.[1];
    return name === undefined ? [] : [{ line, name }];
  });
  const pciDevices = settings.atoms('pci').flatMap(({ text: spec, line }) => {
    const [, domain = '0000', address] =
      /^\s*(?:([0-9a-f]{4}):)?([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])/i.exec(spec) ?? [];
    return address === undefined ? [] : [{ line, address: `${domain}:${address}`.toLowerCase() }];
  });
  return { files, scripts, pciDevices };
}

/** The configuration with the boot loader by its name alone: Xen finds its own of that name. */
export function withBootLoader(text: string, name: string): string {
  const edits = new TextEdits(text, new Settings(parseConfig(text)));
  edits.set('bootloader', quoteForXl(name));
  return edits.apply();
}
