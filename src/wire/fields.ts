import { z } from 'zod';
import { isPlainPath } from '../image/contents/ext-files.ts';
import { targetFormats } from '../image/target/target-format.ts';

/* What the fields of messages may hold. */

export const LINE_LIMIT_BYTES = 2 ** 20;
/** The most chunks that one message names with their ids: fewer bytes than a line may have. */
export const MOST_TAKEN = 2 ** 12;

export const bytes = z.int().nonnegative();
export const absolutePath = z
  .string()
  .max(4096)
  .regex(/^\/[^\0]*$/);
/** A path within a guest's file system. */
export const guestPath = z.string().max(1024).refine(isPlainPath);
export const imageBytes = bytes.min(512).multipleOf(512);
export const packId = z.string().regex(/^[0-9a-f]{64}$/);
export const fingerprint = z.string().regex(/^sha256:[0-9a-f]{64}$/);
/** A plain file name: the receiver makes no file outside the directory it was given. */
export const fileName = z
  .string()
  .max(240)
  .regex(/^[^./\p{Cc}][^/\p{Cc}]*$/u);
/** Of the new image; raw if absent. */
export const imageFormat = z.enum(targetFormats).exactOptional();
/** The whole text of a small file in a guest, a character for each byte; null for a file that is not there. */
export const fileText = z.string().max(LINE_LIMIT_BYTES).nullable();
/** Where a disk goes, if not to DIRECTORY/NAME: a block device, or another new file. */
export const diskPath = absolutePath.exactOptional();
/** Whether the content of a block device may be lost. */
export const overwrite = z.literal(true).exactOptional();
/** One of several open disks, counted from 0 in the order of `open`; absent: the last one opened. */
export const disk = z.int().min(0).max(255).exactOptional();
/** Positions of chunks: the first, and how many. */
export const chunkRange = z.tuple([z.int().nonnegative(), z.int().positive()]).readonly();
export const guestName = z.string().min(1).max(200);
/** A proof of this machine that it has written an image itself, for the mover that has sent it. */
export const grant = z.string().regex(/^[0-9a-f]{64}$/);
/** Where chunks are taken from: one of the open disks, or an image that was published before. */
export const takenFrom = z.union([
  z.strictObject({ disk: z.int().min(0).max(255) }),
  z.strictObject({ path: absolutePath, grant }),
]);
export type TakenFrom = z.infer<typeof takenFrom>;
/** Chunks side by side: the first one's position in this disk, the same in the other one, and how many. */
export const takenRun = z
  .tuple([z.int().nonnegative(), z.int().nonnegative(), z.int().positive().max(MOST_TAKEN)])
  .readonly();
