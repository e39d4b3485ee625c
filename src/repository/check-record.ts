import { Failure } from '../failure.ts';
import { isSnapshotId } from './files/snapshot-id.ts';

/** Limit for the text of a file in `checked`: some 600,000 packs. */
export const CHECK_RECORD_LIMIT_BYTES = 64 * 2 ** 20;

const HEADER = 'vmferry-checked 1';

/** What `vmferry verify` has found so far. Times are in milliseconds since 1970, in whole seconds. */
export interface CheckRecord {
  /** By id: when the pack was last read whole and found good. */
  packs: Map<string, number>;
  /** By id. */
  snapshots: Map<string, SnapshotCheck>;
}

export interface SnapshotCheck {
  checkedMs: number;
  state: 'whole' | 'damaged';
  /** The earliest last reading of its packs that found them good. Null: not all its packs were read. */
  readMs: number | null;
  /** When it was last restored and booted; null: never. */
  bootedMs: number | null;
}

export function emptyCheckRecord(): CheckRecord {
  return { packs: new Map(), snapshots: new Map() };
}

/** When reading or booting last proved a snapshot's content to be good; null: never. */
export function lastVerifiedMs({ readMs, bootedMs }: SnapshotCheck): number | null {
  return readMs === null && bootedMs === null ? null : Math.max(readMs ?? 0, bootedMs ?? 0);
}

/** Merges records: the last finding about each pack and snapshot counts. */
export function mergeCheckRecords(records: Iterable<CheckRecord>): CheckRecord {
  const merged = emptyCheckRecord();
  for (const { packs, snapshots } of records) {
    for (const [id, checkedMs] of packs)
      merged.packs.set(id, Math.max(checkedMs, merged.packs.get(id) ?? checkedMs));
    for (const [id, check] of snapshots) {
      const other = merged.snapshots.get(id) ?? check;
      const newest = check.checkedMs >= other.checkedMs ? check : other;
      const booted = Math.max(check.bootedMs ?? 0, other.bootedMs ?? 0);
      merged.snapshots.set(id, { ...newest, bootedMs: booted === 0 ? null : booted });
    }
  }
  return merged;
}

/** The text of a file in `checked`: doc/store.md. */
export function checkRecordText({ packs, snapshots }: CheckRecord): string {
  const lines = [HEADER];
  for (const [id, checkedMs] of packs) lines.push(`pack ${id} ${timeText(checkedMs)}`);
  for (const [id, { checkedMs, state, readMs, bootedMs }] of snapshots)
    lines.push(
      `snapshot ${id} ${[timeText(checkedMs), state, timeText(readMs), timeText(bootedMs)].join(' ')}`,
    );
  return `${lines.join('\n')}\n`;
}

/** Throws Failure `store-damaged` for any other text. */
export function parseCheckRecord(text: string): CheckRecord {
  const lines = text.split('\n');
  if (lines.pop() !== '' || lines.shift() !== HEADER) throw damaged('has a wrong beginning or end');
  const record = emptyCheckRecord();
  for (const line of lines) {
    const [word, id = '', checked = '', ...more] = line.split(' ');
    const checkedMs = parseTime(checked);
    if (checkedMs === null) throw oddLine(line);
    if (word === 'pack' && /^[0-9a-f]{64}$/.test(id) && more.length === 0) record.packs.set(id, checkedMs);
    else if (word === 'snapshot' && isSnapshotId(id))
      record.snapshots.set(id, { checkedMs, ...parseSnapshotCheck(more, line) });
    else throw oddLine(line);
  }
  return record;
}

function parseSnapshotCheck(words: readonly string[], line: string): Omit<SnapshotCheck, 'checkedMs'> {
  const [state, read = '', booted = '', ...more] = words;
  if ((state !== 'whole' && state !== 'damaged') || more.length > 0) throw oddLine(line);
  return { state, readMs: parseTimeOrNone(read, line), bootedMs: parseTimeOrNone(booted, line) };
}

function parseTimeOrNone(text: string, line: string): number | null {
  if (text === '-') return null;
  const ms = parseTime(text);
  if (ms === null) throw oddLine(line);
  return ms;
}

function timeText(ms: number | null): string {
  return ms === null ? '-' : new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

function parseTime(text: string): number | null {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text)) return null;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? null : ms;
}

function oddLine(line: string): Failure {
  return damaged(`has the invalid line ${JSON.stringify(line.slice(0, 100))}`);
}

function damaged(how: string): Failure {
  return new Failure('store-damaged', `A record of checks is damaged: it ${how}.`);
}
