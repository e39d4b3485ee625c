import { Failure } from '../../../src/failure.ts';
import type { GuestDefinition } from '../../../src/guest/definition.ts';
import type { FreezingDriver, RunningGuest } from '../../../src/guest/guest-driver.ts';

/** A driver for tests. Its guests are entries of a map; like a Xen domain, they have no process on this machine. */
export interface FakeDriver extends FreezingDriver {
  running: Map<string, RunningGuest>;
  /** The orders that the guests were given: `freeze web`, `go web`, `halt web`, `start web`. */
  history: string[];
}

/** A guest with this word on its command line ignores an orderly halt. */
export const STUBBORN = 'stubborn';
/** A guest with this word on its command line ends while it boots. */
export const BROKEN = 'broken';
/** A kernel that is not on this machine. */
export const MISSING_KERNEL = '/nowhere/kernel';

/** A guest's definition with only the given fields. */
export function fakeDefinition(
  name: string,
  images: readonly string[] = [],
  rest: Partial<GuestDefinition> = {},
): GuestDefinition {
  return {
    name,
    driver: 'uml',
    memoryBytes: null,
    cpuCount: null,
    kernel: null,
    initrd: null,
    disks: images.map((path, index) => ({ device: `ubd${index}`, path, readOnly: false })),
    commandLine: [],
    ...rest,
  };
}

/** The given guests run from the beginning. To change a method: `{ ...fakeDriver(), halt: … }`. */
export function fakeDriver(...guests: readonly GuestDefinition[]): FakeDriver {
  const running: FakeDriver['running'] = new Map();
  const frozen = new Set<string>();
  const history: string[] = [];
  let runs = 0;
  const run = (definition: GuestDefinition): RunningGuest => {
    const id = String(++runs);
    const guest = { definition, identity: { id, label: `domain ${id}` }, cpuSeconds: 0 };
    running.set(definition.name, guest);
    return guest;
  };
  const isGone = ({ definition, identity }: RunningGuest) =>
    running.get(definition.name)?.identity.id !== identity.id;
  const problems = ({ name, kernel }: GuestDefinition): Failure[] => [
    ...(kernel === MISSING_KERNEL ? [new Failure('hypervisor-missing', `${kernel} is not here.`)] : []),
    ...(running.has(name) ? [new Failure('guest-already-running', `${name} runs already.`)] : []),
  ];
  for (const definition of guests) run(definition);

  return {
    kind: 'uml',
    environmentNames: [],
    running,
    history,
    list: () => Promise.resolve([...running.values()]),
    usersBesides: (_guest, users) => Promise.resolve(users),
    async halt(guest, { force }, { signal }) {
      if (isGone(guest)) return;
      // Like a real halt, it can still be aborted after it was asked for.
      await Promise.resolve();
      signal.throwIfAborted();
      const { name, commandLine } = guest.definition;
      history.push(`halt ${name}`);
      if (!force && (frozen.has(name) || commandLine.includes(STUBBORN)))
        throw new Failure('halt-failed', `The guest ${name} does not halt.`, { advice: 'It still runs.' });
      frozen.delete(name);
      running.delete(name);
    },
    async freeze(guest) {
      const { name } = guest.definition;
      if (isGone(guest) || frozen.has(name))
        throw new Failure('guest-unsupported', `The guest ${name} cannot be frozen.`);
      history.push(`freeze ${name}`);
      frozen.add(name);
      const letGo = () => {
        if (frozen.delete(name)) history.push(`go ${name}`);
        return Promise.resolve(0);
      };
      return {
        stoppedAt: new Date(),
        notSynced: null,
        letGo,
        [Symbol.asyncDispose]: async () => void (await letGo()),
      };
    },
    complete: (definition) => Promise.resolve(definition),
    checkBootable: (definition) => Promise.resolve(problems(definition)),
    async start(definition) {
      const [problem] = problems(definition);
      if (problem !== undefined) throw problem;
      history.push(`start ${definition.name}`);
      if (definition.commandLine.includes(BROKEN))
        throw new Failure('start-failed', `The guest ${definition.name} ended while it was starting.`);
      return run(definition);
    },
    isolate: async (definition, { name, copies }) =>
      Promise.resolve({
        ...definition,
        name,
        disks: definition.disks.flatMap((disk, index) => {
          const path = copies[index];
          return path === undefined ? [] : [{ ...disk, path }];
        }),
      }),
  };
}
