import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { runsX86_64 } from '../../../../../../src/guest/drivers/xen/host/kernel-width.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'vmferry-width-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

function widthOf(content: Buffer): boolean | null {
  const path = join(directory, 'kernel');
  writeFileSync(path, content);
  return runsX86_64(path);
}

function elf(machine: number): Buffer {
  const header = Buffer.alloc(64);
  header.write('\x7FELF', 'latin1');
  header.writeUInt16LE(machine, 18);
  return header;
}

/** The header of a compressed image, as in boot.rst. */
function image(version: number, loadFlags: number): Buffer {
  const header = Buffer.alloc(1024);
  header.write('HdrS', 0x202);
  header.writeUInt16LE(version, 0x206);
  header.writeUInt16LE(loadFlags, 0x236);
  return header;
}

test('an ELF file names its processor', () => {
  expect([widthOf(elf(62)), widthOf(elf(3))]).toEqual([true, false]);
});

test('an image says whether it has 64 bits, and does not say it before Linux 3.8', () => {
  expect([widthOf(image(0x20f, 1)), widthOf(image(0x20f, 2)), widthOf(image(0x20b, 1))]).toEqual([
    true,
    false,
    null,
  ]);
});

test('of a compressed file it is not known; a file that is not a kernel is left to xl', () => {
  expect(widthOf(Buffer.from('1f8b0800', 'hex'))).toBeNull();
  expect(widthOf(Buffer.from('28b52ffd00', 'hex'))).toBeNull();
  expect([widthOf(Buffer.from('#!/bin/sh\n')), widthOf(Buffer.alloc(0))]).toEqual([true, true]);
});
