import { z } from 'zod';
import { warningCodes, type Warning, type WarningCode } from '../events.ts';
import {
  exitStatusByCode,
  Failure,
  fromFailureParts,
  type FailureCode,
  type FailureParts,
} from '../failure.ts';
import { guestSourceSchema, MOST_SOURCES } from '../guest/guest-source.ts';
import { PlacedText, type OtherMachine } from '../placed-text.ts';
import {
  bytes,
  absolutePath,
  guestPath,
  imageBytes,
  packId,
  fingerprint,
  fileName,
  imageFormat,
  fileText,
  diskPath,
  overwrite,
  disk,
  chunkRange,
  guestName,
  grant,
  takenFrom,
  takenRun,
  LINE_LIMIT_BYTES,
  MOST_TAKEN,
} from './fields.ts';

export { LINE_LIMIT_BYTES, MOST_TAKEN, type TakenFrom } from './fields.ts';

/** The messages of doc/wire.md. */
export const PROTOCOL_VERSION = 3;
export const ALIVE_INTERVAL_MS = 5_000;
/** After this long without a message the line counts as dead. */
export const SILENCE_LIMIT_MS = 30_000;
/** The most bytes of packs that are sent and not yet applied. */
export const SPOOL_LIMIT_BYTES = 256 * 2 ** 20;
/** The most ranges of chunks in one message: fewer bytes than a line may have. */
export const MOST_RANGES = 2 ** 15;

/** Whose incomplete images the receiver may continue, and leave for later: the guest, and the machine that it comes from. */
const ownerClaim = z.strictObject({ machine: z.string().max(300), guest: z.string().min(1).max(4096) });
export type OwnerClaim = z.infer<typeof ownerClaim>;
const claim = ownerClaim.exactOptional();
const failureCode = z.custom<FailureCode>(
  (code) => typeof code === 'string' && Object.hasOwn(exitStatusByCode, code),
);
/** Words that depend on where the text is read are pieces of their own: placed-text.ts. */
const textPiece = z.union([
  z.string(),
  z.strictObject({ place: z.literal('here') }),
  z.strictObject({ command: z.string() }),
  z.strictObject({ vmferry: z.string() }),
]);
const placedText = z.array(textPiece).readonly();
const failureFields = {
  code: failureCode,
  message: placedText,
  advice: placedText.exactOptional(),
  transient: z.literal(true).exactOptional(),
};
const timeoutMs = z.int().positive();
/** `other` stands for a code of another vmferry, and for a plain text, which has none. */
const warning = z.union([
  z.strictObject({ code: z.string().transform(knownWarningCode), message: z.string() }),
  z.string().transform((message): Warning => ({ code: 'other', message })),
]);
const warnings = z.array(warning);

/** A block device as the receiver finds it. */
const device = z.strictObject({
  path: absolutePath,
  sizeBytes: bytes,
  /** What its content looks like: `ext4`, `swap`, `a partition table`. Empty if nothing was recognised. */
  holds: z.array(z.string().max(300)).max(64),
});

/** What the guest's disks need of a kernel there. */
const kernelNeeds = z.strictObject({
  fileSystems: z.array(z.string().max(64)).max(64).readonly(),
  /** The kernels whose modules are in the guest; null: unknown. */
  modulesOf: z.array(z.string().max(128)).max(64).readonly().nullable(),
});

/** What other guests of the same command take there before this one. */
const besides = z.strictObject({
  files: z
    .array(z.strictObject({ directory: absolutePath, neededBytes: bytes }))
    .max(4096)
    .readonly(),
  memoryBytes: bytes,
});
export type TakenBesides = z.infer<typeof besides>;

/** What is to be changed in the copy of a guest, or at its boot. */
const adaptationFields = {
  root: z.strictObject({ path: absolutePath, offset: bytes }).nullable(),
  edits: z
    .array(z.strictObject({ path: absolutePath, before: fileText, after: fileText }))
    .max(256)
    .readonly(),
  bootArchive: z.base64().max(LINE_LIMIT_BYTES).nullable(),
  /** Files in the guest that boot it: they are taken out of the image `path`, from the file system at `offset`. */
  bootFiles: z
    .strictObject({
      path: absolutePath,
      offset: bytes,
      kernel: guestPath,
      initrds: z.array(guestPath).max(8).readonly(),
    })
    .exactOptional(),
};

const hypervisorKinds = ['uml', 'qemu', 'libvirt', 'xen'] as const;

const alive = z.strictObject({ type: z.literal('alive') });

const moverMessage = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('check'),
    /** Null: every disk has its own path. */
    directory: absolutePath.nullable(),
    disks: z
      .array(
        z.strictObject({
          name: fileName,
          path: diskPath,
          format: imageFormat,
          sizeBytes: bytes,
          neededBytes: bytes,
        }),
      )
      .min(1),
    overwrite,
    claim,
    guest: z.unknown(),
    /** The kernel that the mover runs under: if it is the receiver's own, both are on one machine. */
    sourceKernel: z.string().max(64).exactOptional(),
    /** Anybody may have written the definition: its kernel must certainly be one, or a guest must be known there that has it. */
    isForeign: z.literal(true).exactOptional(),
    needs: kernelNeeds.exactOptional(),
    /** The kernel will be taken out of the guest's own disk. */
    guestKernel: z.strictObject({ hasInitrd: z.boolean() }).exactOptional(),
    besides: besides.exactOptional(),
  }),
  z.strictObject({ type: z.literal('measure'), padding: z.string() }),
  z.strictObject({
    type: z.literal('open'),
    directory: absolutePath.nullable(),
    name: fileName,
    path: diskPath,
    format: imageFormat,
    overwrite,
    claim,
    /** A block device that this move has begun over an earlier connection. */
    begun: z.literal(true).exactOptional(),
    sizeBytes: imageBytes,
    chunkBytes: bytes.min(65536),
    mode: z.int().min(0).max(0o7777),
    uid: bytes,
    gid: bytes,
    modifiedMs: z.number(),
  }),
  z.strictObject({ type: z.literal('survey'), disk }),
  z.strictObject({ type: z.literal('pack'), id: packId, sizeBytes: bytes, disk }),
  z.strictObject({
    type: z.literal('clear'),
    ranges: z.array(chunkRange).max(MOST_RANGES).readonly(),
    disk,
  }),
  z.strictObject({
    type: z.literal('take'),
    disk,
    from: takenFrom,
    runs: z.array(takenRun).min(1).max(MOST_TAKEN).readonly(),
    /** Of all chunks, in the order of the runs. */
    ids: z.base64().max(LINE_LIMIT_BYTES),
  }),
  z.strictObject({ type: z.literal('pass'), disk }),
  z.strictObject({
    type: z.literal('finish'),
    fingerprint,
    disk,
    /** Replaces that of `open`: a guest that ran then has written since. */
    modifiedMs: z.number().exactOptional(),
  }),
  z.strictObject({
    type: z.literal('publish'),
    /** Later moves of the same command may take chunks from the images. */
    grants: z.literal(true).exactOptional(),
  }),
  z.strictObject({
    type: z.literal('adapt'),
    guest: z.unknown(),
    ...adaptationFields,
  }),
  z.strictObject({
    type: z.literal('boot'),
    guest: z.unknown(),
    sources: z.array(guestSourceSchema).max(MOST_SOURCES).readonly(),
    timeoutMs,
  }),
  z.strictObject({
    type: z.literal('rehearse'),
    guest: z.unknown(),
    ...adaptationFields,
    timeoutMs,
  }),
  z.strictObject({ type: z.literal('leave') }),
  z.strictObject({ type: z.literal('commit') }),
  z.strictObject({
    type: z.literal('halt'),
    name: guestName,
    force: z.boolean(),
    timeoutMs,
    destination: z.string(),
  }),
  z.strictObject({ type: z.literal('look'), name: guestName }),
  z.strictObject({ type: z.literal('abort') }),
  alive,
]);

const receiverMessage = z.discriminatedUnion('type', [
  // Other fields are ignored, so that `ready` of any version is understood.
  z.object({
    type: z.literal('ready'),
    protocol: z.int(),
    version: z.string(),
    host: z.string().max(255).optional(),
    machine: z.string().max(64).nullable().optional(),
    /** It knows `take`, and `grants`. */
    takes: z.boolean().optional(),
  }),
  z.strictObject({
    type: z.literal('checked'),
    problems: z.array(z.strictObject(failureFields)),
    warnings,
    freeBytes: bytes,
    /** The disks that go onto block devices. */
    devices: z.array(device).max(256).exactOptional(),
    /** The guest, with what its definition leaves to the machine. */
    guest: z.unknown().optional(),
    /** If the guest's own hypervisor is missing: those that work. */
    hypervisors: z.array(z.enum(hypervisorKinds)).exactOptional(),
  }),
  z.strictObject({ type: z.literal('measured') }),
  z.strictObject({
    type: z.literal('opened'),
    spool: absolutePath,
    /** It holds something of an earlier connection. */
    continued: z.literal(true).exactOptional(),
  }),
  z.strictObject({
    type: z.literal('has'),
    disk,
    /** A position, and the ids of the chunks from there on, one after the other. */
    first: z.int().nonnegative(),
    ids: z.base64().max(LINE_LIMIT_BYTES),
  }),
  z.strictObject({ type: z.literal('surveyed') }),
  z.strictObject({ type: z.literal('applied'), id: packId, plainBytes: bytes }),
  z.strictObject({ type: z.literal('taken'), lacking: z.array(chunkRange).max(MOST_TAKEN) }),
  z.strictObject({ type: z.literal('passed') }),
  z.strictObject({
    type: z.literal('progress'),
    verifiedBytes: bytes,
    /** Read, and emptied where necessary, because nothing was sent for them. */
    clearedBytes: bytes.exactOptional(),
  }),
  z.strictObject({
    type: z.literal('verified'),
    fingerprint,
    readBack: z.enum(['direct', 'page-cache-dropped']),
    warnings,
  }),
  z.strictObject({
    type: z.literal('published'),
    paths: z.array(absolutePath),
    /** One for each path. */
    grants: z.array(grant).exactOptional(),
    warnings,
  }),
  z.strictObject({ type: z.literal('adapted'), guest: z.unknown() }),
  z.strictObject({
    type: z.literal('up'),
    pid: z.int().positive().nullable(),
    consoleLog: absolutePath,
    warnings,
  }),
  z.strictObject({
    type: z.literal('rehearsed'),
    /** Until it was up; if it did not come up, the failure instead. */
    bootMs: z.int().nonnegative().exactOptional(),
    failure: z.strictObject(failureFields).exactOptional(),
    warnings,
  }),
  z.strictObject({ type: z.literal('left') }),
  z.strictObject({ type: z.literal('committed') }),
  z.strictObject({ type: z.literal('halted'), wasRunning: z.boolean() }),
  z.strictObject({ type: z.literal('seen'), isRunning: z.boolean() }),
  z.strictObject({ type: z.literal('aborted') }),
  z.strictObject({ type: z.literal('failed'), ...failureFields }),
  alive,
]);

export type MoverMessage = z.infer<typeof moverMessage>;
export type ReceiverMessage = z.infer<typeof receiverMessage>;
export type Message = MoverMessage | ReceiverMessage;

/** One message as the line that carries it. */
export function formatMessage(message: Message): string {
  return `${JSON.stringify(message)}\n`;
}

/** Reads a line from the mover. Throws Failure `protocol-violation`. */
export function parseMoverMessage(line: string): MoverMessage {
  return parse(moverMessage, line);
}

/** Reads a line from the receiver. Throws Failure `protocol-violation`. */
export function parseReceiverMessage(line: string): ReceiverMessage {
  return parse(receiverMessage, line);
}

function parse<T>(schema: z.ZodType<T>, line: string): T {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw violation(`is not JSON: ${JSON.stringify(line.slice(0, 80))}.`);
  }
  const result = schema.safeParse(value);
  if (!result.success) throw violation(`is not understood: ${z.prettifyError(result.error)}`);
  return result.data;
}

function violation(how: string): Failure {
  return new Failure('protocol-violation', `A message from the other machine ${how}`, {
    advice: 'Install the same version of vmferry on both machines.',
  });
}

function knownWarningCode(code: string): WarningCode {
  return warningCodes.find((known) => known === code) ?? 'other';
}

/**
 * The other machine's failure, worded for this machine: it names the other one, and its commands are to be typed here.
 */
export function fromWireFailure(parts: FailureParts, machine: OtherMachine): Failure {
  const { code, placed, transient } = fromFailureParts(parts);
  const advice = placed.advice?.readFrom(machine);
  return new Failure(code, placed.message.toldFrom(machine), { advice, transient });
}

/** The same for a warning. No word of it depends on where it is read. */
export function fromWireWarning({ code, message }: Warning, machine: OtherMachine): Warning {
  return { code, message: new PlacedText([message]).toldFrom(machine) };
}
