import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GuestDefinition } from '../../../src/guest/definition.ts';
import type { FreezingDriver } from '../../../src/guest/guest-driver.ts';
import { seededBytes } from '../images/images.ts';

/** Guests that are nothing but a name in a set, and an image. */
export interface PretendGuests {
  driver: FreezingDriver;
  running: Set<string>;
  /** What became of them, in order: `freeze alpha`, `halt alpha`, … */
  history: string[];
  /** Called after one was frozen or halted. */
  onHeld: () => void;
}

export function pretendGuests(names: readonly string[], directory: string): PretendGuests {
  const imageOf = (name: string) => join(directory, `${name}.img`);
  for (const name of names) writeFileSync(imageOf(name), seededBytes(name.length, 512 * 1024));
  const definitionOf = (name: string): GuestDefinition => ({
    name,
    driver: 'uml',
    memoryBytes: null,
    cpuCount: null,
    kernel: null,
    initrd: null,
    disks: [{ device: 'ubd0', path: imageOf(name), readOnly: false }],
    commandLine: [],
  });
  const running = new Set(names);
  const history: string[] = [];
  const driver: FreezingDriver = {
    kind: 'uml',
    list: () =>
      Promise.resolve(
        [...running].map((name) => ({ definition: definitionOf(name), pid: process.pid, cpuSeconds: 0 })),
      ),
    freeze: ({ definition: { name } }) => {
      history.push(`freeze ${name}`);
      guests.onHeld();
      const letGo = () => {
        history.push(`go ${name}`);
        return Promise.resolve(0);
      };
      return Promise.resolve({
        stoppedAt: new Date(),
        notSynced: null,
        letGo,
        [Symbol.asyncDispose]: async () => void (await letGo()),
      });
    },
    halt: ({ definition: { name } }) => {
      history.push(`halt ${name}`);
      running.delete(name);
      guests.onHeld();
      return Promise.resolve();
    },
    checkBootable: () => Promise.resolve([]),
    start: (definition) => {
      history.push(`start ${definition.name}`);
      running.add(definition.name);
      return Promise.resolve({ definition, pid: process.pid, cpuSeconds: 0 });
    },
  };
  const guests: PretendGuests = { driver, running, history, onHeld: () => undefined };
  return guests;
}
