import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Context, Event } from '../../src/events.ts';
import type { GuestDefinition } from '../../src/guest/definition.ts';
import { createLibvirtDriver } from '../../src/guest/drivers/libvirt/driver.ts';
import { libvirtMissing, startLibvirt, type LibvirtLab } from '../rigs/libvirt/libvirt-lab.ts';
import { codeOf } from '../support/failures.ts';
import { LabGuests, emulated, onQcow2 } from '../support/guests/libvirt-guests.ts';
import { scratchDirectory } from '../support/images/images.ts';
import { describeUnless, findTool, toolsMissing } from '../support/programs/tools.ts';

/** virsh 8.0 of Ubuntu 22.04 answers so. The rest is done by the virsh of this machine. */
const oldVirsh = `#!/bin/sh
case " $* " in
*" --keep-tpm "*) echo "error: command 'undefine' doesn't support option --keep-tpm" >&2; exit 1 ;;
*" help "*) "$REAL_VIRSH" "$@" | sed 's/\\[--keep-tpm\\]//; /^ *--keep-tpm /d' ;;
*) exec "$REAL_VIRSH" "$@" ;;
esac
`;

describeUnless(
  libvirtMissing() ?? toolsMissing('swtpm', 'swtpm_setup'),
  'a virsh that cannot keep the state of a TPM',
  () => {
    let lab: LibvirtLab;
    let driver: ReturnType<typeof createLibvirtDriver>;
    let newer: ReturnType<typeof createLibvirtDriver>;
    let guests: LabGuests;
    const scratch = scratchDirectory();
    let events: Event[] = [];
    const context: Context = { signal: new AbortController().signal, report: (event) => events.push(event) };

    beforeAll(async () => {
      lab = await startLibvirt();
      newer = createLibvirtDriver(lab.environment);
      const programs = join(scratch.path, 'programs');
      mkdirSync(programs);
      writeFileSync(join(programs, 'virsh'), oldVirsh, { mode: 0o755 });
      driver = createLibvirtDriver({
        ...lab.environment,
        REAL_VIRSH: findTool('virsh') ?? '',
        PATH: [programs, lab.environment['PATH'] ?? ''].join(delimiter),
      });
      guests = new LabGuests(lab, driver);
    });
    afterAll(async () => {
      await lab[Symbol.asyncDispose]();
      scratch[Symbol.dispose]();
    });

    /** Its image is no qcow2 image: QEMU does not start it. */
    const sealed = (name: string, rest: Partial<GuestDefinition>): GuestDefinition => {
      const path = join(scratch.path, `${name}.qcow2`);
      writeFileSync(path, 'nothing');
      const state = join(scratch.path, `${name}-tpm`);
      mkdirSync(state);
      const tpm = `<tpm model="tpm-crb"><backend type="emulator" version="2.0"><source type="dir" path="${state}"/></backend></tpm>`;
      const guest = { ...onQcow2(name, path), ...rest };
      const text = emulated(guest).native?.text.replace('</devices>', `${tpm}</devices>`) ?? '';
      return { ...guest, native: { text, beyond: [] } };
    };

    test('a guest that comes back is refused before anything is touched, with what to do', async () => {
      const uuid = '4dea22b3-1d52-4f3a-8a1c-0123456789fa';
      const definition = sealed('back', { uuid });
      await driver.keep(definition, context);
      expect((await guests.known('back'))?.undroppable).toBeUndefined();
      await driver.fence(definition, context);
      const { undroppable } = (await guests.known('back')) ?? {};
      expect(undroppable?.message).toContain(`emulated TPM meanwhile, /var/lib/libvirt/swtpm/${uuid}.`);
      expect(String(undroppable?.advice)).toContain(`virsh undefine ${uuid} --keep-nvram && mv -T`);
      const kept = (await newer.listKept(context)).map(({ undroppable: why }) => why);
      expect(kept).toEqual([undefined]);
    });

    test('a guest that did not start does not start with the machine, and is told of', async () => {
      const definition = sealed('new', { uuid: '4dea22b3-1d52-4f3a-8a1c-0123456789fb', autostart: true });
      events = [];
      const options = { timeoutMs: 60_000, consoleLog: join(scratch.path, 'log/new.log') };
      expect(await codeOf(() => driver.start(definition, options, context))).toBe('start-failed');
      expect(await guests.known('new')).toMatchObject({ definition: { autostart: false } });
      expect(events.at(-1)).toMatchObject({
        type: 'warning',
        code: 'clean-up-incomplete',
        message: expect.stringMatching(/does not forget new, .*--keep-tpm.* does not start with the machine/),
      });
    });
  },
);
