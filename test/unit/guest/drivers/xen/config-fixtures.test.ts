import { describe, expect, test } from '@jest/globals';
import { parseGuestDefinition, type GuestDefinition } from '../../../../../src/guest/definition.ts';
import { readXenConfig } from '../../../../../src/guest/drivers/xen/config/read.ts';
import { xenConfigOf } from '../../../../../src/guest/drivers/xen/config/rewrite.ts';
import { xenFixture, xenFixtures, type XlAnswer } from '../../../../support/guests/xen-fixtures.ts';

const { accepted, refused, lossy } = xenFixtures();

/** The definition in xl's words. */
function inXlsWords(definition: GuestDefinition): unknown {
  const disks = [
    ...definition.disks.map(({ device, path, readOnly, format }) => ({
      vdev: device,
      pdev_path: path,
      format: format === 'vpc' ? 'vhd' : (format ?? 'raw'),
      isReadOnly: readOnly,
    })),
    ...(definition.drives ?? []).map(({ device, path }) => ({
      vdev: device,
      pdev_path: path ?? '',
      format: path === null ? 'empty' : 'raw',
      isReadOnly: true,
    })),
  ];
  return {
    name: definition.name,
    type: definition.virtualization,
    memory: (definition.memoryBytes ?? 0) / 2 ** 20,
    vcpus: definition.cpuCount,
    disks: disks.toSorted((one, other) => one.vdev.localeCompare(other.vdev)),
    macs: (definition.networkCards ?? []).map(({ mac }) => mac),
  };
}

function essence(answer: XlAnswer): unknown {
  const disks = answer.disks.map(({ vdev, pdev_path = '', format, readwrite, is_cdrom }) => ({
    vdev,
    // Xen's block script puts /dev/ before such a path.
    pdev_path: /^[a-z]/.test(pdev_path) ? `/dev/${pdev_path}` : pdev_path,
    format,
    isReadOnly: readwrite === undefined || is_cdrom === 1,
  }));
  return {
    name: answer.name,
    type: answer.type,
    memory: answer.memory,
    vcpus: answer.vcpus,
    disks: disks.toSorted((one, other) => one.vdev.localeCompare(other.vdev)),
    macs: answer.nics.map(({ mac }) => mac),
  };
}

describe('a configuration that xl takes', () => {
  test.each(Object.entries(accepted))('%s is read as xl reads it', (name, answer) => {
    const { definition, problems } = readXenConfig(xenFixture('accepted', name));
    expect(problems).toEqual([]);
    if (definition === null) throw new Error('no definition');
    expect(inXlsWords(definition)).toEqual(essence(answer));
    expect(parseGuestDefinition(JSON.parse(JSON.stringify(definition)))).toEqual(definition);
    if (definition.boot === undefined) {
      expect(definition.kernel).toBe(answer.kernel);
      expect(definition.initrd).toBe(answer.ramdisk ?? null);
      expect(definition.commandLine.join(' ')).toBe((answer.cmdline ?? '').trim().replaceAll(/\s+/g, ' '));
    }
  });

  test.each(Object.keys(accepted))('%s is written back unchanged', (name) => {
    const text = xenFixture('accepted', name);
    const { definition } = readXenConfig(text);
    if (definition === null) throw new Error('no definition');
    expect(xenConfigOf(definition)).toBe(text);
  });

  test.each(Object.keys(accepted))('in %s only what changed is replaced', (name) => {
    const text = xenFixture('accepted', name);
    const { definition } = readXenConfig(text);
    if (definition === null) throw new Error('no definition');
    const disks = definition.disks.map((disk, index) => ({ ...disk, path: `/srv/moved/disk ${index}.img` }));
    const moved = { ...definition, name: 'moved', disks };
    const written = xenConfigOf(moved);
    const again = readXenConfig(written);
    expect(again.problems).toEqual([]);
    expect({ ...again.definition, native: null }).toEqual({ ...moved, native: null });
    expect(again.definition?.native?.beyond).toHaveLength(definition.native?.beyond.length ?? 0);
    const comments = text.match(/#.*/g) ?? [];
    for (const comment of comments) expect(written).toContain(comment);
  });
});

describe('a configuration that xl refuses', () => {
  test.each(Object.entries(refused))('%s is refused, and the line is named', (name, line) => {
    expectRefusal(xenFixture('refused', name), line);
  });
});

describe('a configuration of which xl drops a part without an error', () => {
  test.each(Object.entries(lossy))('%s is refused, and the line is named', (name, line) => {
    expectRefusal(xenFixture('lossy', name), line);
  });
});

function expectRefusal(text: string, line: number | null): void {
  const { problems } = readXenConfig(text);
  expect(problems).not.toEqual([]);
  for (const { message } of problems) expect(message).not.toBe('');
  if (line !== null) expect(problems.map((problem) => problem.line)).toContain(line);
}
