import { expect, test } from '@jest/globals';
import { benchModule } from '../../support/bench-module.ts';

interface Peer {
  name: string;
  title: string;
  verified?: string;
  medians: { wallSeconds: number };
  ratios: { wallSeconds: number } | null;
}
interface Results {
  machine: { cores: number };
  line: string;
  recipe: { sizeBytes: number };
  summary: readonly (Peer | { step: string; title: string; peers: readonly Peer[] })[];
}

const { picture } = await benchModule<{ picture: (results: Results) => string }>('images/picture.mjs');

function peer(name: string, wallSeconds: number, verified?: string): Peer {
  const figures = { medians: { wallSeconds }, ratios: { wallSeconds: wallSeconds / 8 } };
  return { name, title: `<${name} & co>`, ...figures, ...(verified === undefined ? {} : { verified }) };
}

function results(summary: Results['summary']): Results {
  return { machine: { cores: 2 }, line: '100mbit', recipe: { sizeBytes: 2 ** 32 }, summary };
}

function widthsOf(svg: string): number[] {
  return [...svg.matchAll(/<rect class="(?:own|peer)"[^>]* width="([\d.]+)"/g)].map(([, width]) =>
    Number(width),
  );
}

test('bars are in proportion to the times, the quickest first', () => {
  const svg = picture(results([peer('tar', 24, 'no'), peer('vmferry', 8, 'read back from the disk')]));
  const [own = 0, other = 0] = widthsOf(svg);
  expect(own / other).toBeCloseTo(1 / 3);
  expect(svg.indexOf('class="own"')).toBeLessThan(svg.indexOf('class="peer"'));
});

test('one bar that is much longer than all others is cut', () => {
  const svg = picture(results([peer('bzip2', 480), peer('tar', 24), peer('vmferry', 8)]));
  const [own = 0, tar = 0, bzip2 = 0] = widthsOf(svg);
  expect(own / tar).toBeCloseTo(1 / 3);
  expect(bzip2).toBe(tar);
  expect(svg.match(/<path class="cut"/g)).toHaveLength(1);
});

test('a mark shows whether the copy was verified, and how', () => {
  const svg = picture(
    results([
      peer('tar', 24, 'no'),
      peer('rsync', 12, 'as received'),
      peer('vmferry', 8, 'read back from the disk'),
    ]),
  );
  expect(svg).toContain('>8.0 s ✓✓<');
  expect(svg).toContain('>12.0 s, 1.5 × ✓<');
  expect(svg).toContain('>24.0 s, 3.0 ×<');
});

test('titles cannot break the picture, and it names the line', () => {
  const svg = picture(results([peer('vmferry', 8)]));
  expect(svg).toContain('&lt;vmferry &amp; co&gt;');
  expect(svg).toContain('Moving a guest of 4 GiB over 100 Mbit/s: seconds');
});

test('each step of a backup is a group of its own', () => {
  const peers = [peer('vmferry', 8), peer('borg', 30)];
  const steps = ['First', 'Second', 'Nobody'].map((title, index) => ({
    step: title,
    title,
    peers: index === 2 ? [] : peers,
  }));
  const svg = picture(results(steps));
  expect(widthsOf(svg)).toHaveLength(4);
  expect(svg).toContain('>First: seconds<');
  expect(svg).not.toContain('Nobody');
});
