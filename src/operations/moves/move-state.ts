import type { GuestRecord } from '../../guest/guest-record.ts';

/** What became of a move, as far as this machine knows (doc/migration.md, The states of a move). */
export type MoveState =
  /** A process here copies the guest, which runs on. */
  | 'copying'
  /** The same, and it waits for a time or for `vmferry cutover`. */
  | 'held'
  /** A process here moves the guest right now. */
  | 'moving'
  /** The process that moved the guest is gone, and the new hardware was never told to boot it. */
  | 'broken-off'
  /** The process that copied the guest is gone, and the guest was never halted for the move. */
  | 'copy-broken-off'
  /** The guest was fenced here, and it is not recorded that it came up there. */
  | 'unknown'
  /** The guest came up there. The way back is open. */
  | 'moved'
  /** The same, and `vmferry commit` ended the way back. */
  | 'committed'
  /** The guest had come from another machine, which took it back. */
  | 'taken-back'
  /** The guest is at home here, and was on another machine before: it came here, or came home. */
  | 'here';

/**
 * The state of the move that a record tells of; null for a guest that never moved.
 * @param isMoverAlive whether the process that the record names still lives
 */
export function moveStateOf(
  { state, move, copying, sources = [] }: Pick<GuestRecord, 'state' | 'move' | 'copying' | 'sources'>,
  isMoverAlive: boolean,
): MoveState | null {
  if (copying !== undefined && isMoverAlive) return copying.hold === 'waiting' ? 'held' : 'copying';
  const isFree = state === 'running' || state === 'halted';
  if (isFree && copying?.options !== undefined) return 'copy-broken-off';
  if (move === undefined || isFree) return sources.length === 0 ? null : 'here';
  if (isMoverAlive) return 'moving';
  if (state === 'moving') return 'broken-off';
  if (move.via !== undefined) return 'moved';
  if (move.remoteCommand === null) return 'taken-back';
  if (move.committedAt !== undefined) return 'committed';
  return move.upAt === undefined ? 'unknown' : 'moved';
}

/** The commands of vmferry that go on from there, each as words; the first is the usual one. */
export function nextCommands(
  state: MoveState,
  { definition, move, copying }: Pick<GuestRecord, 'definition' | 'move' | 'copying'>,
): string[][] {
  const { name } = definition;
  const { destination = '', directory = null } = move ?? {};
  const resume = ['migrate', name, '--resume'];
  switch (state) {
    case 'copy-broken-off':
      return [resume];
    case 'broken-off': {
      if ((copying ?? move)?.options !== undefined) return [['revert', name], resume];
      const to = directory === null ? destination : `${destination}:${directory}`;
      return [
        ['revert', name],
        ['migrate', name, '--to', to],
      ];
    }
    case 'unknown':
    case 'moved':
      if (move?.via !== undefined) return [['revert', name, '--new-host-is-gone']];
      return [
        ['commit', name],
        ['revert', name],
      ];
    case 'held':
      return [['cutover', name]];
    case 'copying':
    case 'moving':
    case 'committed':
    case 'taken-back':
    case 'here':
      return [];
  }
}
