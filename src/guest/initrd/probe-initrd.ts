import { newcArchive } from './newc-archive.ts';

/**
 * An initial RAM disk with one program, `/init`, that switches the machine off at once. A kernel that boots it can run
 * programs here. Format of the program: elf(5).
 */
export function probeInitrd(): Buffer {
  return newcArchive([{ path: 'init', content: switchOffProgram(), isExecutable: true }]);
}

const loadAddress = 0x400000n;
const elfHeaderBytes = 64;
const programHeaderBytes = 56;
const x86_64 = 62;

/** A static x86-64 program of one segment: reboot(MAGIC1, MAGIC2, POWER_OFF), then a loop in case that returns. */
function switchOffProgram(): Buffer {
  const code = Buffer.from(
    'b8a9000000' + // mov eax, 169 (reboot)
      'bfaddee1fe' + // mov edi, LINUX_REBOOT_MAGIC1
      'be69191228' + // mov esi, LINUX_REBOOT_MAGIC2
      'badcfe2143' + // mov edx, LINUX_REBOOT_CMD_POWER_OFF
      '4531d2' + // xor r10d, r10d
      '0f05' + // syscall
      'ebfe', // jmp to itself
    'hex',
  );
  const codeOffset = elfHeaderBytes + programHeaderBytes;
  const sizeBytes = BigInt(codeOffset + code.length);
  const program = Buffer.alloc(codeOffset);
  program.write('\x7FELF\x02\x01\x01', 'latin1'); // 64 bits, little-endian, version 1
  program.writeUInt16LE(2, 16); // e_type: executable
  program.writeUInt16LE(x86_64, 18); // e_machine
  program.writeUInt32LE(1, 20); // e_version
  program.writeBigUInt64LE(loadAddress + BigInt(codeOffset), 24); // e_entry
  program.writeBigUInt64LE(BigInt(elfHeaderBytes), 32); // e_phoff
  program.writeUInt16LE(elfHeaderBytes, 52); // e_ehsize
  program.writeUInt16LE(programHeaderBytes, 54); // e_phentsize
  program.writeUInt16LE(1, 56); // e_phnum
  const segment = elfHeaderBytes;
  program.writeUInt32LE(1, segment); // p_type: load
  program.writeUInt32LE(5, segment + 4); // p_flags: read, execute
  program.writeBigUInt64LE(loadAddress, segment + 16); // p_vaddr
  program.writeBigUInt64LE(loadAddress, segment + 24); // p_paddr
  program.writeBigUInt64LE(sizeBytes, segment + 32); // p_filesz
  program.writeBigUInt64LE(sizeBytes, segment + 40); // p_memsz
  program.writeBigUInt64LE(0x1000n, segment + 48); // p_align
  return Buffer.concat([program, code]);
}
