/**
 * The cyclic redundancy checks of disk formats, all in their reflected form: CRC-32 (GPT; UEFI specification),
 * CRC-32C (ext4 metadata_csum) and CRC-16 (ext4 gdt_csum).
 */
function reflectedTable(polynomial: number): Uint32Array {
  const table = new Uint32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ polynomial : value >>> 1;
    table[byte] = value;
  }
  return table;
}

const crc32Table = reflectedTable(0xedb88320);
const crc32cTable = reflectedTable(0x82f63b78);
const crc16Table = reflectedTable(0xa001);

function update(table: Uint32Array, seed: number, bytes: Uint8Array): number {
  let crc = seed;
  for (let index = 0; index < bytes.length; index++)
    crc = (crc >>> 8) ^ (table[(crc ^ (bytes[index] ?? 0)) & 0xff] ?? 0);
  return crc >>> 0;
}

/** CRC-32 as in Ethernet, zlib and GPT. */
export function crc32(bytes: Uint8Array): number {
  return ~update(crc32Table, 0xffffffff, bytes) >>> 0;
}

/** CRC-32 without the inversion at the start and the end; LVM starts with a number of its own. */
export function continueCrc32(seed: number, bytes: Uint8Array): number {
  return update(crc32Table, seed, bytes);
}

/** CRC-32C without the inversion at the start and the end, so that pieces chain; ext4 starts with 0xffffffff. */
export function crc32c(seed: number, bytes: Uint8Array): number {
  return update(crc32cTable, seed, bytes);
}

/** CRC-16 (ANSI), chaining; ext4 starts with 0xffff. */
export function crc16(seed: number, bytes: Uint8Array): number {
  return update(crc16Table, seed, bytes);
}
