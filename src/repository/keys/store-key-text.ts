import { hash } from 'node:crypto';
import { Failure } from '../../failure.ts';

/*
 * A store's key as text to be kept on paper (doc/encryption.md). Each line ends with four check digits that reveal typing
 * errors.
 */

const HEADER = 'vmferry store key 1';
const HEX_PER_LINE = 16;
const labels = ['store', '1', '2', '3', '4'] as const;

export interface StoreKeyText {
  storeId: string;
  key: Uint8Array;
}

export function storeKeyText({ storeId, key }: StoreKeyText): string {
  const digits = Buffer.from(key).toString('hex');
  const lines = labels.map((label, line) => {
    const content = line === 0 ? storeId : digits.slice((line - 1) * HEX_PER_LINE, line * HEX_PER_LINE);
    return `${label} ${[...inGroups(content), checkOf(label, content)].join(' ')}`;
  });
  return [HEADER, ...lines, ''].join('\n');
}

/**
 * Reads the text back. Spaces and capital letters do not matter. Throws Failure `key-wrong`, which names the line with the
 * typing error.
 */
export function parseStoreKeyText(text: string): StoreKeyText {
  const [header, ...lines] = text
    .split('\n')
    .map((line) => line.trim().toLowerCase())
    .filter((line) => line !== '');
  if (header?.replaceAll(/\s+/g, ' ') !== HEADER) throw wrong(`does not begin with ‘${HEADER}’`);
  if (lines.length !== labels.length)
    throw wrong(`has ${lines.length} lines after the first, not ${labels.length}`);
  const [storeId = '', ...parts] = labels.map((label, line) => contentOf(lines[line] ?? '', label));
  return { storeId, key: new Uint8Array(Buffer.from(parts.join(''), 'hex')) };
}

function contentOf(line: string, label: (typeof labels)[number]): string {
  const [first, ...groups] = line.split(/\s+/);
  const digits = groups.join('');
  const content = digits.slice(0, -4);
  const isWhole = content.length === (label === 'store' ? 32 : HEX_PER_LINE) && /^[0-9a-f]+$/.test(digits);
  if (first !== label || !isWhole || digits.slice(-4) !== checkOf(label, content))
    throw wrong(`has a typing error in the line ‘${label}’`);
  return content;
}

function inGroups(digits: string): string[] {
  return digits.match(/.{4}/g) ?? [];
}

function checkOf(label: string, content: string): string {
  return hash('sha256', `${HEADER} ${label} ${content}`, 'hex').slice(0, 4);
}

function wrong(how: string): Failure {
  return new Failure('key-wrong', `The text of the store’s key ${how}.`, {
    advice: 'Compare it with what `vmferry key export` printed, digit by digit.',
  });
}
