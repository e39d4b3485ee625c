import { asFailure, toFailureRecord, type FailureRecord } from '../../failure.ts';
import type { RecordStore } from '../../guest/record-store.ts';
import { shellLine } from '../../quote-for-shell.ts';
import { isAlive } from '../../system/proc-process.ts';
import { moveStateOf, nextCommands, type MoveState } from './move-state.ts';

/** A move as `vmferry migrations` shows it. */
export interface MoveSummary {
  guest: string;
  /** `unreadable`: the record is damaged, or of a newer version. */
  state: MoveState | 'unreadable';
  /** The other machine: where the guest went, or where it was before; null if the record cannot be read. */
  other: string | null;
  /** When the record was written last; null if it cannot be read. */
  changedAt: string | null;
  /** The process that moves the guest now; null if there is none. */
  pid: number | null;
  /** Commands to type here. */
  commands: readonly string[];
  /** Why the record cannot be read; null if it can. */
  problem: FailureRecord | null;
}

/** The moves that this machine's records tell of, by the guests' names. Changes nothing. */
export async function listMoves(records: Pick<RecordStore, 'names' | 'read'>): Promise<MoveSummary[]> {
  const summaries = await Promise.all((await records.names()).map((name) => summarize(name, records)));
  return summaries.filter((summary) => summary !== null);
}

async function summarize(name: string, records: Pick<RecordStore, 'read'>): Promise<MoveSummary | null> {
  try {
    const record = await records.read(name);
    if (record === null) return null;
    const { move, copying, changedAt, sources = [] } = record;
    // The process of an earlier move has ended; the one that copies the guest now may not have.
    const under = copying ?? move;
    const mover = under?.mover !== undefined && isAlive(under.mover) ? under.mover : null;
    const rehearsedTo = mover === null ? undefined : copying?.rehearsedTo;
    const state = moveStateOf(record, mover !== null);
    if (state === null) return null;
    return {
      guest: name,
      state,
      other: (state === 'here' ? sources.at(-1)?.host : (rehearsedTo ?? under?.destination)) ?? null,
      changedAt,
      pid: mover?.pid ?? null,
      commands: nextCommands(state, record).map((words) => shellLine(['vmferry', ...words])),
      problem: null,
    };
  } catch (error) {
    const problem = toFailureRecord(asFailure(error));
    return {
      guest: name,
      state: 'unreadable',
      other: null,
      changedAt: null,
      pid: null,
      commands: [],
      problem,
    };
  }
}
