import type { ArrivalDriver } from '../preflight/arrival-driver.ts';
import type {
  FreezingDriver,
  GuestDriver,
  HugePageDriver,
  KeepingDriver,
  ProbingDriver,
  ViewingDriver,
} from '../guest-driver.ts';

/** What has to be known of a driver before its code is loaded. */
export interface DriverOutline extends Pick<GuestDriver, 'kind' | 'environmentNames'> {
  /** Whether this machine may have guests of it, also such as do not run. Quick, and starts nothing. */
  mayHaveGuests(): boolean;
}

export function namesOf({
  kind,
  environmentNames,
}: DriverOutline): Pick<GuestDriver, 'kind' | 'environmentNames'> {
  return { kind, environmentNames };
}

/** Calls `load` once. */
export function once<Value>(load: () => Promise<Value>): () => Promise<Value> {
  let loaded: Promise<Value> | null = null;
  return () => (loaded ??= load());
}

/**
 * A driver whose code is loaded when it is first needed. Each takes about 50 ms to load; most commands need one of them, or
 * none, and most machines have one hypervisor. `load` gives the same driver each time (`once`).
 */
export function deferFreezing(outline: DriverOutline, load: () => Promise<FreezingDriver>): FreezingDriver {
  return {
    ...namesOf(outline),
    list: async (context) => (outline.mayHaveGuests() ? (await load()).list(context) : []),
    usersBesides: async (...args) => (await load()).usersBesides(...args),
    halt: async (...args) => (await load()).halt(...args),
    freeze: async (...args) => (await load()).freeze(...args),
    complete: async (...args) => (await load()).complete(...args),
    checkBootable: async (...args) => (await load()).checkBootable(...args),
    start: async (...args) => (await load()).start(...args),
    isolate: async (...args) => (await load()).isolate(...args),
  };
}

export function deferViewing(
  outline: DriverOutline,
  load: () => Promise<FreezingDriver & ViewingDriver>,
): FreezingDriver & ViewingDriver {
  return {
    ...deferFreezing(outline, load),
    view: async (...args) => (await load()).view(...args),
    canRecord: async (...args) => (await load()).canRecord(...args),
    record: async (...args) => (await load()).record(...args),
    haltRecorded: async (...args) => (await load()).haltRecorded(...args),
    endRecordings: async (...args) => (await load()).endRecordings(...args),
  };
}

export function deferKeeping(
  outline: DriverOutline,
  load: () => Promise<FreezingDriver & KeepingDriver>,
): FreezingDriver & KeepingDriver {
  return {
    ...deferFreezing(outline, load),
    listKept: async (context) => (outline.mayHaveGuests() ? (await load()).listKept(context) : []),
    keep: async (...args) => (await load()).keep(...args),
    drop: async (...args) => (await load()).drop(...args),
    setAutostart: async (...args) => (await load()).setAutostart(...args),
    fence: async (...args) => (await load()).fence(...args),
    unfence: async (...args) => (await load()).unfence(...args),
  };
}

/** Beside one of the others, with the same `load`. */
export function deferHugePages(load: () => Promise<HugePageDriver>): Pick<HugePageDriver, 'hugePages'> {
  return { hugePages: async (...args) => (await load()).hugePages(...args) };
}

/** Beside one of the others, with the same `load`. */
export function deferArrival(load: () => Promise<ArrivalDriver>): Pick<ArrivalDriver, 'tellOfArrival'> {
  return { tellOfArrival: async (...args) => (await load()).tellOfArrival(...args) };
}

export function deferProbing(
  outline: DriverOutline,
  load: () => Promise<FreezingDriver & KeepingDriver & ProbingDriver>,
): FreezingDriver & KeepingDriver & ProbingDriver {
  return { ...deferKeeping(outline, load), probe: async (...args) => (await load()).probe(...args) };
}
