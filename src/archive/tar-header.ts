/* Headers of a tar file: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header". */

export const BLOCK_BYTES = 512;
/** Two blocks of zeros end a tar file. */
export const END_BYTES = 2 * BLOCK_BYTES;

const TYPE_FILE = '0';
const TYPE_PAX = 'x';
const MODE = 0o600;
/** The largest size that eleven octal digits can state. A pax header states a larger one. */
const LARGEST_OCTAL = 0o77777777777;

/** Bytes that fill up the last block of a member of this size. */
export function paddingBytes(sizeBytes: number): number {
  return (BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES;
}

/** A regular file in an archive. */
export interface Member {
  name: string;
  /** Bytes behind the header, without padding. */
  sizeBytes: number;
  modifiedAt: Date;
  /** Records of a pax header before it. */
  records?: Readonly<Record<string, string>>;
}

/** All header blocks of a member: those of its pax header, if it needs one, and its own. */
export function memberHeader({ name, sizeBytes, modifiedAt, records = {} }: Member): Uint8Array {
  const needed = {
    ...(isShortName(name) ? {} : { path: name }),
    ...(sizeBytes > LARGEST_OCTAL ? { size: String(sizeBytes) } : {}),
    ...records,
  };
  const own = block(isShortName(name) ? name : 'long-name', sizeBytes, modifiedAt, TYPE_FILE);
  const text = Object.entries(needed)
    .map(([key, value]) => paxRecord(key, value))
    .join('');
  if (text === '') return own;
  const content = Buffer.from(text);
  return Buffer.concat([
    block('PaxHeaders/header', content.length, modifiedAt, TYPE_PAX),
    content,
    Buffer.alloc(paddingBytes(content.length)),
    own,
  ]);
}

function isShortName(name: string): boolean {
  return name.length <= 100 && /^[ -~]*$/.test(name);
}

/** `LENGTH KEY=VALUE\n`, where LENGTH counts the bytes of the whole record, its own digits too. */
export function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  const restBytes = Buffer.byteLength(rest);
  let digits = 1;
  while (String(restBytes + digits).length > digits) digits++;
  return `${restBytes + digits}${rest}`;
}

function block(name: string, sizeBytes: number, modifiedAt: Date, type: string): Buffer {
  const bytes = Buffer.alloc(BLOCK_BYTES);
  bytes.write(name, 0);
  bytes.write(octal(MODE, 7), 100);
  bytes.write(octal(0, 7), 108);
  bytes.write(octal(0, 7), 116);
  bytes.write(octal(sizeBytes > LARGEST_OCTAL ? 0 : sizeBytes, 11), 124);
  bytes.write(octal(Math.max(0, Math.floor(modifiedAt.getTime() / 1000)), 11), 136);
  bytes.write(type, 156);
  bytes.write('ustar\u000000', 257);
  bytes.write(octal(checksumOf(bytes), 6), 148);
  bytes[155] = 0x20;
  return bytes;
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0');
}

/** The sum of all bytes of a header, with blanks in the place of the checksum. */
export function checksumOf(header: Uint8Array): number {
  let sum = 0;
  for (let index = 0; index < BLOCK_BYTES; index++)
    sum += index >= 148 && index < 156 ? 0x20 : (header[index] ?? 0);
  return sum;
}
