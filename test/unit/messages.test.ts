import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

/**
 * What people read when something goes wrong is full sentences: each message of a Failure begins with a capital letter
 * (or with a name) and ends with a full stop (or with what somebody else said).
 */
const source = join(import.meta.dirname, '..', '..', 'src');
const text = String.raw`(?:'(?:[^'\\]|\\.)*'|\x60(?:[^\x60\\]|\\.)*\x60)`;
const newFailure = new RegExp(
  String.raw`new Failure\(\s*(?:'[\w-]+'|[^,()]+),\s*(${text}(?:\s*\+\s*${text})*),?\s*[,)]`,
  'g',
);

function messagesOf(file: string): string[] {
  const code = readFileSync(join(source, file), 'utf8');
  return [...code.matchAll(newFailure)].map(([, literal = '']) =>
    (literal.match(new RegExp(text, 'g')) ?? []).map((part) => part.slice(1, -1)).join(''),
  );
}

const messages = readdirSync(source, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .flatMap((file) => messagesOf(file).map((message) => ({ file, message })));

/** Words that are written small wherever they stand. */
const beginning = /^(?:[A-Z‘]|\$\{|vmferry |ssh |libvirt |--)/;
const ending = /(?:[.?]|\})$/;

test('messages are full sentences', () => {
  expect(messages.length).toBeGreaterThan(100);
  expect(messages.filter(({ message }) => !beginning.test(message) || !ending.test(message))).toEqual([]);
});
