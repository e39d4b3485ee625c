import { expect, test } from '@jest/globals';
import { digestedText, isDigestedText } from '../../../../src/repository/files/digested-json.ts';

const content = {
  format: 'x',
  when: '2026-11-22T03:00:00.000Z',
  sizes: [1, 2.5],
  inner: { name: 'ä\n"', none: null },
};

test('JSON with a digest is JSON with the digest as its last member', () => {
  const text = digestedText(content);
  expect(JSON.parse(text)).toEqual({ ...content, digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) });
  expect(text).toMatch(/,\n "digest": "sha256:[0-9a-f]{64}"\n\}\n$/);
  expect(isDigestedText(text)).toBe(true);
});

test('every single-bit flip is found', () => {
  const bytes = Buffer.from(digestedText(content));
  const passed: string[] = [];
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Buffer.from(bytes);
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    if (isAccepted(flipped.toString('utf8'))) passed.push(`bit ${bit}`);
  }
  expect(passed).toEqual([]);
});

test.each(['{}', '[]', 'null', '"text"', '{"digest":"sha256:"}'])('%s has no digest', (text) => {
  expect(isDigestedText(text)).toBe(false);
});

function isAccepted(text: string): boolean {
  try {
    return isDigestedText(text);
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}
