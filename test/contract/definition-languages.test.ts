import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { convertDefinition } from '../../src/guest/conversion/convert.ts';
import type { GuestDefinition } from '../../src/guest/definition.ts';
import { Failure } from '../../src/failure.ts';
import { createDependencies } from '../../src/wiring.ts';
import { definitionOf, hypervisorKinds } from '../support/guests/definitions.ts';

const dependencies = createDependencies('1.2.3', { VMFERRY_STATE_DIR: '/nonexistent' });
const languages = await dependencies.loadLanguages();

const place = { name: 'guest.cfg', directory: '/srv' };

describe.each(languages.map((language) => [language.kind, language] as const))(
  'the language of %s',
  (to, language) => {
    describe.each(hypervisorKinds.filter((kind) => kind !== to))('for a guest of %s', (from) => {
      test('is read with all that matters, and no other language recognises it', () => {
        fc.assert(
          fc.property(definitionOf(from), (before) => {
            const { definition } = convertDefinition(before, {
              driver: to,
              choices: { kernel: '/boot/vmlinuz' },
            });
            const text = textOf(definition);
            if (text === null) return;
            expect(languages.filter((one) => one.recognizes(text, 'guest')).map(({ kind }) => kind)).toEqual([
              to,
            ]);
            const { definition: read, problems } = language.read(text, place);
            expect(problems).toEqual([]);
            expect(essence(read, definition)).toEqual(essence(definition, definition));
          }),
        );
      });
    });

    /** Null for what the language cannot say, such as a path with a comma in it. */
    function textOf(definition: GuestDefinition): string | null {
      try {
        return language.write(definition);
      } catch (error) {
        if (error instanceof Failure && error.code === 'guest-unsupported') return null;
        throw error;
      }
    }
  },
);

/** What no language may lose. Where `given` leaves the choice to the hypervisor, it may come back written out. */
function essence(definition: GuestDefinition, given: GuestDefinition) {
  const { name, driver, memoryBytes, cpuCount, kernel, initrd, disks, commandLine } = definition;
  const { boot = 'kernel', firmware, drives = [], networkCards = [], uuid } = definition;
  return {
    identity: { name, driver, ...(given.uuid && { uuid }) },
    size: { ...(given.memoryBytes && { memoryBytes }), ...(given.cpuCount && { cpuCount }) },
    boot: { kernel, initrd, boot, isUefi: firmware?.kind === 'uefi' },
    disks: disks
      .toSorted((one, other) => `${one.path} ${one.device}`.localeCompare(`${other.path} ${other.device}`))
      .map(({ device, path, readOnly, format = 'raw', bus, purpose }) =>
        purpose === undefined ? { device, path, readOnly, format, bus } : { path, purpose },
      ),
    drives: drives.map(({ kind, path }) => ({ kind, path })),
    networkCards: networkCards.map(({ mac, attachedTo }, index) => ({
      ...(given.networkCards?.[index]?.mac && { mac }),
      attachedTo,
    })),
    commandLine: commandLine.filter((argument) => !argument.startsWith('con')),
  };
}
