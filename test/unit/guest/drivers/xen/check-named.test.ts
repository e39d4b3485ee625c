import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { GuestDefinition } from '../../../../../src/guest/definition.ts';
import { checkNamed } from '../../../../../src/guest/drivers/xen/check-named.ts';
import { completeXen } from '../../../../../src/guest/drivers/xen/complete.ts';
import { readXenConfig } from '../../../../../src/guest/drivers/xen/config/read.ts';
import { xenHost } from '../../../../../src/guest/drivers/xen/host/host.ts';
import { scratchDirectory } from '../../../../support/images/images.ts';

let scratch: ReturnType<typeof scratchDirectory>;
const basis = `name = "web"\nmemory = 128\nkernel = "/boot/vmlinuz"\ndisk = [ "file:/srv/web.img,xvda,w" ]\n`;

beforeEach(() => {
  scratch = scratchDirectory();
});
afterEach(() => scratch[Symbol.dispose]());

function definitionOf(text: string): GuestDefinition {
  const { definition, problems } = readXenConfig(text);
  if (definition === null || problems.length > 0) throw new Error(JSON.stringify(problems));
  return definition;
}

function found(text: string): string[] {
  const host = { configDirectory: join(scratch.path, 'etc/xen') };
  return checkNamed(definitionOf(text), text, host, scratch.path).map(({ message }) => message);
}

function make(name: string): string {
  const path = join(scratch.path, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, '', { mode: 0o755 });
  return path;
}

describe('what a configuration for xl names', () => {
  test.each([
    ['vif = [ "mac=00:16:3e:00:00:01,script=vif-route" ]', 'The script PATH', 'etc/xen/scripts/vif-route'],
    ['pci = [ "03:00.0,permissive=1" ]', 'The device 0000:03:00.0', 'sys/bus/pci/devices/0000:03:00.0'],
    ['pci = [ "0001:03:00.0" ]', 'The device 0001:03:00.0', 'sys/bus/pci/devices/0001:03:00.0'],
  ])('has to be there, and is found when it is: %s', (line, what, file) => {
    const text = `${basis}${line}\n`;
    const expected = `${what.replace('PATH', join(scratch.path, file))} is not here (line `;
    expect(found(text)).toEqual([expect.stringContaining(expected)]);
    make(file);
    expect(found(text)).toEqual([]);
  });

  test('files that Xen itself is given have to be there', () => {
    for (const key of ['device_model_override', 'acpi_firmware', 'smbios_firmware', 'bios_path_override']) {
      const path = join(scratch.path, key);
      const text = `${basis}${key} = "${path}"\n`;
      expect(found(text)).toEqual([`${path} is not here (line 5 of the configuration of web).`]);
      make(key);
      expect(found(text)).toEqual([]);
    }
    expect(found(basis)).toEqual([]);
  });

  test('a disk in another format than raw needs the QEMU of Xen, an HVM guest also its firmware', () => {
    const qcow2 = basis.replace('file:/srv/web.img,xvda,w', 'format=qcow2,vdev=xvda,target=/srv/web.img');
    const hvm = `type = "hvm"\n${basis.replace(/^kernel.*\n/m, '')}`;
    expect(found(qcow2)).toEqual([
      '/srv/web.img has the format qcow2, for which Xen needs a QEMU, and there is none here.',
    ]);
    expect(found(hvm)).toHaveLength(2);
    make('usr/lib/xen-4.17/boot/hvmloader');
    expect(found(hvm)).toEqual([expect.stringContaining('needs a QEMU for Xen')]);
    make('usr/libexec/xen-qemu-system-i386');
    expect(found(hvm)).toEqual([]);
  });
});

describe('the path of pygrub has the version of Xen in it', () => {
  const boot = (path: string) =>
    `${basis.replace(/^kernel.*\n/m, '')}bootloader = "${path}" # of Xen 4.11\nextra = "quiet"\n`;
  const complete = async (text: string, directory: string) => {
    const told: string[] = [];
    const host = xenHost({ PATH: directory });
    const definition = definitionOf(text);
    const completed = await completeXen(definition, host, {
      report: (event) => void told.push('message' in event ? event.message : ''),
    });
    return { text: completed.native?.text, told };
  };

  test('and that of another one is replaced by its name, which Xen looks up', async () => {
    const directory = dirname(make('bin/pygrub'));
    const { text, told } = await complete(boot('/usr/lib/xen-4.11/bin/pygrub'), directory);
    expect(text).toBe(
      boot('/usr/lib/xen-4.11/bin/pygrub').replace('"/usr/lib/xen-4.11/bin/pygrub"', '"pygrub"'),
    );
    expect(told).toEqual([
      'The boot loader /usr/lib/xen-4.11/bin/pygrub of web is missing; web gets the pygrub of this Xen.',
    ]);
  });

  test('and stays if it is there; another boot loader is missed', async () => {
    const here = make('bin/pygrub');
    expect(await complete(boot(here), dirname(here))).toEqual({ text: boot(here), told: [] });
    const other = boot('/nowhere/pvgrub');
    expect(await complete(other, dirname(here))).toEqual({ text: other, told: [] });
    expect(found(other)).toEqual([expect.stringMatching(/^\/nowhere\/pvgrub is not here/)]);
  });
});
