import { linkSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Event } from '../../../../src/events.ts';
import { Failure } from '../../../../src/failure.ts';
import type { ArrivalDriver } from '../../../../src/guest/preflight/arrival-driver.ts';
import type { GuestDefinition } from '../../../../src/guest/definition.ts';
import type {
  EarlierStates,
  GuestDriver,
  HugePageDriver,
  KeepingDriver,
  KernelDriver,
  KeptGuest,
  ProbingDriver,
} from '../../../../src/guest/guest-driver.ts';
import { checkFiles } from '../../../../src/guest/preflight/check-files.ts';
import { checkGuestHere } from '../../../../src/guest/preflight/check-guest-here.ts';
import { placed } from '../../../../src/placed-text.ts';
import { createRecordStore, type RecordStore } from '../../../../src/guest/record-store.ts';
import { fakeDefinition, fakeDriver } from '../../../support/guests/fake-driver.ts';

let directory: string;
let disk: string;
let records: RecordStore;
const context = { signal: new AbortController().signal, report: () => undefined };
const mac = '52:54:00:00:00:01';
const uuid = '11111111-2222-3333-4444-555555555555';

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'vmferry-preflight-'));
  disk = join(directory, 'disk.img');
  writeFileSync(disk, '');
  records = createRecordStore(join(directory, 'records'));
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

function driverOf(kind: 'qemu' | 'libvirt' | 'xen', ...guests: GuestDefinition[]): GuestDriver {
  return { ...fakeDriver(...guests.map((guest) => ({ ...guest, driver: kind }))), kind };
}

/** Knows the guests, and none of them runs. */
function keeping(...kept: GuestDefinition[]): GuestDriver {
  const guests = kept.map((definition) => ({ definition: { ...definition, driver: 'libvirt' as const } }));
  const driver: Partial<KeepingDriver> = { listKept: () => Promise.resolve(guests) };
  return { ...driverOf('libvirt'), ...driver };
}

const coming: GuestDefinition = {
  ...fakeDefinition('web', []),
  driver: 'qemu',
  uuid,
  networkCards: [{ mac, attachedTo: { kind: 'tap', name: 'lo' } }],
};

async function codes(guest: GuestDefinition, drivers: readonly GuestDriver[], isFromHere = false) {
  return (
    await checkGuestHere(
      { definition: guest, isFromHere, mayOverwrite: false, isForeign: false },
      { drivers, records },
      [],
      context,
    )
  ).map(({ code, message }) => `${code}: ${message}`);
}

test('a guest that is alone on the machine has no problem', async () => {
  expect(await codes({ ...coming, disks: fakeDefinition('x', [disk]).disks }, [driverOf('qemu')])).toEqual(
    [],
  );
});

test('a guest that comes back is refused while its hypervisor has snapshots from before, and only then', async () => {
  const former = (earlierStates?: EarlierStates): GuestDriver => {
    const guest: KeptGuest = {
      definition: { ...coming, driver: 'libvirt' },
      unsupported: new Failure('guest-fenced', 'It was moved away.'),
      ...(earlierStates && { earlierStates }),
    };
    const driver: Partial<KeepingDriver> = { listKept: () => Promise.resolve([guest]) };
    return { ...driverOf('libvirt'), ...driver };
  };
  const states = { text: 'monday (inside its images)', insideImages: ['monday'], forget: placed`Delete it.` };
  const plain: GuestDefinition = { ...coming, networkCards: [] };
  expect(await codes(plain, [driverOf('qemu'), former(states)])).toEqual([
    'target-exists: libvirt has snapshots of web here, from before it was moved away: monday (inside its images).',
  ]);
  expect(await codes(plain, [driverOf('qemu'), former()])).toEqual([]);
  expect(await codes(plain, [driverOf('qemu'), former(states)], true)).toEqual([]);
});

test('a guest that comes back is refused if its hypervisor cannot forget it without a loss', async () => {
  const undroppable = new Failure('guest-unsupported', 'Its TPM would be lost.');
  const guest = { definition: { ...coming, driver: 'libvirt' as const }, undroppable };
  const former = (unsupported?: Failure): GuestDriver => {
    const kept = { ...guest, ...(unsupported && { unsupported }) };
    const driver: Partial<KeepingDriver> = { listKept: () => Promise.resolve([kept]) };
    return { ...driverOf('libvirt'), ...driver };
  };
  const plain: GuestDefinition = { ...coming, networkCards: [] };
  const fenced = former(new Failure('guest-fenced', 'It was moved away.'));
  const found = await codes(plain, [driverOf('qemu'), fenced]);
  expect(found).toContain('guest-unsupported: Its TPM would be lost.');
  expect(await codes(plain, [driverOf('qemu'), former()])).not.toContain(found.at(-1));
});

test('the hypervisor tells of what a guest that comes finds here, and says nothing to one that is here', async () => {
  const told: string[] = [];
  const driver: ArrivalDriver = {
    ...driverOf('libvirt'),
    tellOfArrival: ({ name }) => Promise.resolve(void told.push(name)),
  };
  const guest = { ...coming, driver: 'libvirt' as const, networkCards: [] };
  await codes(guest, [driver], true);
  expect(told).toEqual([]);
  await codes(guest, [driver]);
  expect(told).toEqual(['web']);
});

test('a guest in huge pages needs no other memory', async () => {
  const driver: HugePageDriver = {
    ...driverOf('qemu'),
    hugePages: () => Promise.resolve({ pageBytes: 2 ** 40 }),
  };
  const guest = { ...coming, memoryBytes: 2 ** 50 };
  expect(await codes(guest, [driver])).toEqual([
    'resources-short: The memory of web is in huge pages of 1.00 TiB, which the kernel does not have here.',
  ]);
  // They are in use as long as it runs here.
  expect(await codes(guest, [driver], true)).toEqual([]);
});

test('all that another guest has is found at once, and each problem says what to do', async () => {
  const other = { ...coming, disks: fakeDefinition('x', [disk]).disks, name: 'mail' };
  const link = join(directory, 'link.img');
  linkSync(disk, link);
  const guest = {
    ...coming,
    disks: fakeDefinition('x', [link]).disks,
    memoryBytes: 2 ** 50,
    drives: [{ device: 'hdc', kind: 'cdrom', path: '/nowhere.iso' }] as const,
  };
  const problems = await checkGuestHere(
    { definition: guest, isFromHere: false, mayOverwrite: false, isForeign: false },
    { drivers: [driverOf('qemu'), driverOf('xen', other)], records },
    [],
    context,
  );
  expect(problems.map(({ message }) => message)).toEqual([
    "The guest's medium in hdc, /nowhere.iso, is not here.",
    expect.stringMatching(/^web has 1\.00 PiB of memory, and .* are free here\.$/),
    `The UUID ${uuid} is that of mail (xen) here.`,
    `The MAC address ${mac} is that of mail (xen) here.`,
    `${link} is a disk of mail (xen) here.`,
  ]);
  expect(problems.filter(({ advice }) => advice === undefined)).toEqual([]);
});

test('memory that other guests take before it comes is not free for it', async () => {
  const guest = { ...coming, networkCards: [], memoryBytes: 2 ** 20 };
  const check = (besidesBytes: number) =>
    checkGuestHere(
      { definition: guest, isFromHere: false, mayOverwrite: false, isForeign: false, besidesBytes },
      { drivers: [driverOf('qemu')], records },
      [],
      context,
    );
  expect(await check(0)).toEqual([]);
  expect((await check(2 ** 50)).map(({ message }) => message)).toEqual([
    expect.stringMatching(
      /^web has 1\.00 MiB of memory, the guests that come before it 1\.00 PiB, and .* are free here\.$/,
    ),
  ]);
});

test('a guest of the same name under another hypervisor is found, also if it does not run', async () => {
  const other = { ...fakeDefinition('web'), name: 'web' };
  expect(await codes(coming, [driverOf('qemu'), driverOf('xen', other)])).toEqual([
    'guest-already-running: A guest named web is known to xen here already.',
  ]);
  expect(await codes(coming, [driverOf('qemu'), keeping(other)])).toEqual([
    'target-exists: A guest named web is known to libvirt here already.',
  ]);
});

test('a guest that changes its hypervisor on one machine is not its own rival', async () => {
  const before = { ...coming, disks: fakeDefinition('x', [disk]).disks };
  expect(await codes(before, [driverOf('qemu'), driverOf('xen', before)], true)).toEqual([]);
});

test('a guest that vmferry remembers counts, unless it was moved away', async () => {
  const definition = { ...coming, name: 'mail', uuid: '99999999-2222-3333-4444-555555555555' };
  await records.write({ definition, state: 'halted' });
  expect(await codes(coming, [driverOf('qemu')])).toEqual([
    `target-exists: The MAC address ${mac} is that of mail (qemu) here.`,
  ]);
  const move = { destination: 'new', directory: null, sshConfigFile: null, remoteCommand: 'vmferry' };
  await records.write({ definition, state: 'moved', move });
  expect(await codes(coming, [driverOf('qemu')])).toEqual([]);
  await records.remove('mail');
});

test('a hypervisor that fails hides no problem of another', async () => {
  const broken = {
    ...driverOf('libvirt'),
    list: () => Promise.reject(new Failure('internal', 'no connection')),
  };
  const other = { ...coming, name: 'mail' };
  expect(await codes(coming, [driverOf('qemu'), broken, driverOf('xen', other)])).toHaveLength(2);
});

test('what the driver has said already is not said again', async () => {
  const driver: GuestDriver = {
    ...driverOf('qemu'),
    checkBootable: () =>
      Promise.resolve([new Failure('hypervisor-missing', 'There is no /nowhere/kernel here.')]),
  };
  expect(await codes({ ...coming, kernel: '/nowhere/kernel', initrd: '/nowhere/initrd' }, [driver])).toEqual([
    'hypervisor-missing: There is no /nowhere/kernel here.',
    "hypervisor-missing: The guest's initial RAM disk, /nowhere/initrd, is not here.",
  ]);
});

test('a file that will be made of the disks is not missed, by its driver neither; another one is', async () => {
  const asked: (readonly string[] | undefined)[] = [];
  const driver: GuestDriver = {
    ...driverOf('qemu'),
    checkBootable: (_definition, _context, _isVouchedFor, files) => {
      asked.push(files);
      return Promise.resolve([]);
    },
  };
  const definition = { ...coming, kernel: '/nowhere/kernel', initrd: '/nowhere/kernel.img' };
  const request = { definition, isFromHere: false, mayOverwrite: false, isForeign: false };
  const files = ['/nowhere/kernel'];
  const found = await checkGuestHere({ ...request, files }, { drivers: [driver], records }, [], context);
  expect(asked).toEqual([files]);
  expect(found.map(({ message }) => message)).toEqual([
    "The guest's initial RAM disk, /nowhere/kernel.img, is not here.",
  ]);
});

test('a hypervisor that does not answer is told of: it may have a guest that is the same', async () => {
  const told: Event[] = [];
  const silent: GuestDriver = {
    ...driverOf('libvirt'),
    list: () => Promise.reject(new Failure('hypervisor-missing', 'libvirt does not answer.')),
  };
  const guest = { ...coming, networkCards: [] };
  const request = { definition: guest, isFromHere: false, mayOverwrite: false, isForeign: false };
  const check = (driver: GuestDriver) =>
    checkGuestHere(request, { drivers: [driver, silent], records }, [], {
      ...context,
      report: (event) => told.push(event),
    });
  expect(await check(driverOf('qemu'))).toEqual([]);
  expect(told).toMatchObject([
    { code: 'hypervisor-silent', message: expect.stringMatching(/^libvirt does not answer\. .* of web /) },
  ]);
});

test.each([
  ['qemu', {}, true],
  ['libvirt', {}, true],
  ['xen', {}, false],
  ['qemu', { boot: 'firmware', kernel: null, firmware: { kind: 'uefi', code: '/nowhere/code' } }, false],
] as const)('what a guest of %s misses (%j) may be on its own disk: %s', (driver, rest, isOnDisk) => {
  const guest: GuestDefinition = { ...coming, driver, kernel: '/nowhere/kernel', ...rest };
  const [problem] = checkFiles(guest);
  expect(problem?.advice?.includes('--kernel guest')).toBe(isOnDisk);
});

test('a kernel has to be a file that QEMU may read; libvirt gives its QEMU the right to', () => {
  const guest = (driver: 'qemu' | 'libvirt', kernel: string): GuestDefinition => ({
    ...coming,
    driver,
    kernel,
  });
  const found = (definition: GuestDefinition, canRead = true) =>
    checkFiles(definition, [], () => canRead).map(({ message }) => message);
  expect(found(guest('qemu', disk))).toEqual([]);
  expect(found(guest('qemu', directory))).toEqual([`The guest's kernel, ${directory}, is not a file here.`]);
  expect(found(guest('qemu', disk), false)).toEqual([
    `This account may not read the guest's kernel, ${disk}, here.`,
  ]);
  expect(found(guest('libvirt', disk), false)).toEqual([]);
  expect(found(guest('libvirt', `${disk}-other`), false)).toHaveLength(1);
});

test('a kernel of User Mode Linux is asked whether it knows the file systems', async () => {
  const config = 'CONFIG_EXT4_FS=y\nCONFIG_F2FS_FS=m\n';
  const driver: KernelDriver = {
    ...fakeDriver(),
    kernelFacts: () => Promise.resolve({ path: '/usr/bin/linux.uml', version: '6.1.176', config }),
  };
  const request = {
    definition: fakeDefinition('web'),
    isFromHere: false,
    mayOverwrite: false,
    isForeign: false,
    needs: { fileSystems: ['ext4', 'f2fs', 'jfs'], modulesOf: ['5.10.0-1-amd64'] },
  };
  const problems = await checkGuestHere(request, { drivers: [driver], records }, [], context);
  expect(problems.map(({ message }) => message)).toEqual([
    'The kernel /usr/bin/linux.uml here does not know jfs, which web has.',
  ]);
});

test('a small guest is tried last, and only if nothing else keeps the guest from coming', async () => {
  const tried: string[] = [];
  const problem = new Failure('hypervisor-missing', 'Xen cannot boot the kernel.');
  const probing = (answer: Failure | null): ProbingDriver => ({
    ...driverOf('xen'),
    probe: ({ name }) => {
      tried.push(name);
      return Promise.resolve(answer);
    },
  });
  const guest: GuestDefinition = { ...coming, driver: 'xen', networkCards: [] };
  const check = (
    definition: GuestDefinition,
    isForeign: boolean,
    told: readonly Failure[],
    answer: Failure | null,
  ) =>
    checkGuestHere(
      { definition, isFromHere: false, mayOverwrite: false, isForeign },
      { drivers: [probing(answer)], records },
      told,
      context,
    );
  expect(await check(guest, false, [], null)).toEqual([]);
  expect(await check(guest, false, [], problem)).toEqual([problem]);
  expect(tried).toEqual(['web', 'web']);
  expect(await check({ ...guest, kernel: '/nowhere/kernel' }, false, [], problem)).toHaveLength(1);
  expect(await check(guest, false, [new Failure('target-full', 'There is no room.')], problem)).toEqual([]);
  expect(await check(guest, true, [], problem)).toEqual([]);
  expect(tried).toHaveLength(2);
});
