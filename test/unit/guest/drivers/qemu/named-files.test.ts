import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { missingFiles } from '../../../../../src/guest/drivers/qemu/launch/named-files.ts';
import { scratchDirectory } from '../../../../support/images/images.ts';

let scratch: ReturnType<typeof scratchDirectory>;

beforeEach(() => {
  scratch = scratchDirectory();
});
afterEach(() => scratch[Symbol.dispose]());

const found = (option: string, value: string) =>
  missingFiles([option, value], scratch.path).map(({ message }) => /^(\S+) is not here/.exec(message)?.[1]);

test.each([
  ['-bios', 'PATH'],
  ['-dtb', 'PATH'],
  ['-fsdev', 'local,id=share,path=PATH,security_model=none'],
  ['-virtfs', 'local,path=PATH,mount_tag=share,security_model=none'],
  ['-fw_cfg', 'name=opt/org.example/key,file=PATH'],
  ['-fw_cfg', 'opt/org.example/key,file=PATH'],
  ['-smbios', 'file=PATH'],
  ['-acpitable', 'file=PATH'],
  ['-object', 'secret,id=s,file=PATH'],
  ['-object', 'rng-random,id=r,filename=PATH'],
  ['-object', '{"qom-type":"rng-random","id":"r","filename":"PATH"}'],
  ['-device', 'e1000,romfile=PATH'],
  ['-netdev', 'tap,id=n,script=PATH'],
  ['-netdev', 'bridge,id=n,helper=PATH --br=br1'],
  ['-tpmdev', 'passthrough,id=t,path=PATH'],
  ['-chardev', 'serial,id=c,path=PATH'],
  ['-chardev', 'pipe,id=c,path=PATH'],
  ['-chardev', 'socket,id=c,path=PATH'],
  ['-monitor', 'unix:PATH'],
  ['-object', 'input-linux,id=k,evdev=PATH'],
  ['-netdev', 'vhost-vdpa,id=n,vhostdev=PATH'],
  ['-display', 'egl-headless,rendernode=PATH'],
])('a file that QEMU reads has to be here: %s %s', (option, value) => {
  const path = join(scratch.path, 'named');
  expect(found(option, value.replace('PATH', path))).toEqual([path]);
  writeFileSync(path, '');
  expect(found(option, value.replace('PATH', path))).toEqual([]);
});

test.each([
  ['-pidfile', 'PATH'],
  ['-D', 'PATH'],
  ['-vnc', 'unix:PATH,share=ignore'],
  ['-mem-path', 'PATH'],
  ['-qmp', 'unix:PATH,server,nowait'],
  ['-monitor', 'unix:PATH,server=on,wait=off'],
  ['-serial', 'file:PATH'],
  ['-serial', 'mon:unix:PATH,server=on'],
  ['-chardev', 'socket,id=c,path=PATH,server=on,wait=off'],
  ['-chardev', 'file,id=c,path=PATH'],
  ['-chardev', 'pty,id=c,logfile=PATH'],
  ['-object', 'memory-backend-file,id=m,size=64M,mem-path=PATH'],
  ['-object', 'filter-dump,id=f,netdev=n,file=PATH'],
])('a file that QEMU makes needs its directory: %s %s', (option, value) => {
  const directory = join(scratch.path, 'run');
  const named = value.replace('PATH', join(directory, 'file'));
  expect(found(option, named)).toEqual([directory]);
  mkdirSync(directory);
  expect(found(option, named)).toEqual([]);
});

test.each([
  ['host=03:00.0', '0000:03:00.0'],
  ['host=0000:03:00.0', '0000:03:00.0'],
  ['host=10000:01:00.0', '10000:01:00.0'],
])('a device that is passed through has to be here: %s', (host, name) => {
  expect(found('-device', `vfio-pci,${host}`)).toHaveLength(1);
  mkdirSync(join(scratch.path, 'bus/pci/devices', name), { recursive: true });
  expect(found('-device', `vfio-pci,${host}`)).toEqual([]);
});

test.each([
  ['-bios', 'bios-256k.bin'],
  ['-netdev', 'tap,id=n,ifname=tap0,script=no,downscript=no'],
  ['-netdev', 'tap,id=n,script=no,downscript=/nowhere/down'],
  ['-chardev', 'socket,id=c,path=/nowhere/x,abstract=on'],
  ['-chardev', 'socket,id=c,path=/nowhere/x,reconnect=1'],
  ['-chardev', 'socket,id=c,host=127.0.0.1,port=1'],
  ['-serial', 'stdio'],
  ['-monitor', 'tcp:127.0.0.1:4444,server=on'],
  ['-device', 'virtio-net-pci,netdev=n'],
  ['-vnc', '127.0.0.1:1'],
  ['-display', 'none'],
  ['-object', '{"broken'],
])('nothing is looked for that is no path of this machine: %s %s', (option, value) => {
  expect(found(option, value)).toEqual([]);
});

test('of an emulated TPM without its socket, the advice is to bring its state', () => {
  const advice = (tpm: string) =>
    missingFiles(['-chardev', 'socket,id=c,path=/nowhere/swtpm', '-tpmdev', tpm]).map((one) => one.advice);
  expect(advice('emulator,id=t,chardev=c')).toEqual([expect.stringMatching(/swtpm.*BitLocker/)]);
  expect(advice('emulator,id=t,chardev=d')).toEqual([expect.stringMatching(/^Provide it/)]);
});
