import { Failure } from '../../failure.ts';
import { fenceOf, type GuestRecord, type MoveOptions } from '../../guest/guest-record.ts';
import { refuseWhileMoved } from '../../guest/mover.ts';
import type { RecordStore } from '../../guest/record-store.ts';
import { shellLine } from '../../quote-for-shell.ts';
import { moveStateOf } from './move-state.ts';

/**
 * The options of the move of a guest that broke off, to go on with. After the halt its time has come: `hold` and `cutover` are left out
 * then. Throws Failure `guest-not-found` if no move broke off, and `guest-fenced` if it goes on still, or got as far as the boot.
 */
export async function optionsToResume(
  guest: string,
  records: Pick<RecordStore, 'read'>,
): Promise<MoveOptions> {
  const record = await records.read(guest);
  refuseWhileMoved(record);
  if (record === null || (record.copying === undefined && !isAway(record))) throw nothingToResume(guest);
  if (record.state === 'moved') throw tooLate(record);
  const { copying, move } = record;
  const options = (copying ?? move)?.options;
  if (options === undefined) throw notNoted(record);
  if (copying !== undefined) return options;
  const { hold: _hold, cutover: _cutover, ...rest } = options;
  return rest;
}

function isAway({ state, move }: GuestRecord): boolean {
  return move !== undefined && (state === 'moving' || state === 'moved');
}

function nothingToResume(guest: string): Failure {
  return new Failure('guest-not-found', `No move of ${guest} broke off here.`, {
    advice: `See which moves are known here: vmferry migrations. To move it: ${shellLine(['vmferry', 'migrate', guest, '--to', 'HOST'])}`,
  });
}

/** The guest was fenced, and the new hardware may have been told to boot it. */
function tooLate(record: GuestRecord): Failure {
  const { name } = record.definition;
  const { destination = 'another machine' } = record.move ?? {};
  const state = moveStateOf(record, false);
  const hasWayBack = (state === 'moved' || state === 'unknown') && record.move?.via === undefined;
  const advice = hasWayBack
    ? `If it runs there and is to stay: vmferry commit ${name}. To have it here again: vmferry revert ${name}`
    : fenceOf(record)?.advice;
  const how =
    state === 'unknown'
      ? 'broke off when the boot there had begun'
      : 'did not break off before the boot there';
  return new Failure('guest-fenced', `The move of ${name} to ${destination} ${how}: it is not resumed.`, {
    ...(advice !== undefined && { advice }),
  });
}

/** Of a rehearsal, of a move by --via, of a library that gave no options, or of an earlier version. */
function notNoted({ definition, copying, move }: GuestRecord): Failure {
  const { name } = definition;
  const { destination = 'HOST' } = copying ?? move ?? {};
  const directory = copying === undefined ? (move?.directory ?? null) : null;
  const to = directory === null ? destination : `${destination}:${directory}`;
  const message =
    copying === undefined
      ? `The record of ${name} does not have the options of its move to ${destination}: an earlier version of vmferry began it.`
      : `The record of ${name} does not have the options of its copy on ${destination}: it was made by a rehearsal, by --via, or by an earlier version of vmferry.`;
  return new Failure('guest-not-found', message, {
    advice: `Type the whole command: ${shellLine(['vmferry', 'migrate', name, '--to', to])}, with all its options. It goes on with what is there.`,
  });
}
