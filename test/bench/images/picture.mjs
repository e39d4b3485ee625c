/**
 * `node test/bench/images/picture.mjs bench-results/FILE.json > picture.svg` draws the wall times of a bench (moves or backups)
 * as bars. The background is light or dark, as the reader's.
 */
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { lines } from '../lines/lines.mjs';

const WIDTH = 760;
const MARGIN = 20;
const LABELS_WIDTH = 230;
/** Space after the longest bar, for its figures. */
const FIGURES_WIDTH = 150;
const BAR_HEIGHT = 18;
const ROW_HEIGHT = 28;
const TITLE_HEIGHT = 34;
const BARS_WIDTH = WIDTH - 2 * MARGIN - LABELS_WIDTH - FIGURES_WIDTH;
/** A bar that is this many times longer than the next is cut, so that the others remain distinguishable. */
const CUT_FROM = 4;

const style = `
  .ground { fill: #ffffff; stroke: #d0d7de; } text { fill: #1f2328; font: 13px system-ui, sans-serif; }
  .title { font-weight: 600; } .note { fill: #59636e; font-size: 12px; }
  .peer { fill: #afb8c1; } .own { fill: #1f6feb; } .cut { stroke: #ffffff; stroke-width: 3; }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117; stroke: #3d444d; } text { fill: #f0f6fc; } .note { fill: #9198a1; }
    .peer { fill: #656c76; } .own { fill: #4493f8; } .cut { stroke: #0d1117; }
  }`;

/** @param results the content of the bench's file */
export function picture(results) {
  const groups = groupsOf(results);
  const parts = [];
  let top = MARGIN;
  for (const group of groups) {
    parts.push(...drawGroup(group, top));
    top += TITLE_HEIGHT + group.peers.length * ROW_HEIGHT + MARGIN / 2;
  }
  const foot = footOf(results);
  parts.push(label(MARGIN, top + 12, foot, 'note'));
  const height = top + 12 + MARGIN;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img">`,
    `<title>${escaped(groups.map(({ title }) => title).join('; '))}</title>`,
    `<style>${style}\n</style>`,
    `<rect class="ground" x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="8"/>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

/** For backups, one for each step. */
function groupsOf({ summary, recipe, line }) {
  const over = lines.find(({ name }) => name === line)?.title ?? line;
  const gibibytes = recipe.sizeBytes / 2 ** 30;
  const isOfBackups = summary.some((entry) => 'step' in entry);
  if (!isOfBackups)
    return [{ title: `Moving a guest of ${gibibytes} GiB over ${over}: seconds`, peers: summary }];
  return summary
    .filter(({ peers }) => peers.length > 0)
    .map(({ title, peers }) => ({ title: `${title}: seconds`, peers }));
}

function drawGroup({ title, peers }, top) {
  const rows = peers.toSorted((a, b) => a.medians.wallSeconds - b.medians.wallSeconds);
  const full = fullScale(rows.map(({ medians }) => medians.wallSeconds));
  return [
    label(MARGIN, top + 14, title, 'title'),
    ...rows.flatMap((peer, index) => drawPeer(peer, full, top + TITLE_HEIGHT + index * ROW_HEIGHT)),
  ];
}

/** The seconds that a bar of full width stands for. */
function fullScale(values) {
  const [longest, next = longest] = values.toSorted((a, b) => b - a);
  return longest > CUT_FROM * next ? next : longest;
}

function drawPeer({ name, title, verified, medians, ratios }, full, top) {
  const { wallSeconds } = medians;
  const left = MARGIN + LABELS_WIDTH;
  const width = Math.max(1, Math.min(1, wallSeconds / full) * BARS_WIDTH);
  const isOwn = name.startsWith('vmferry');
  const bar = `<rect class="${isOwn ? 'own' : 'peer'}" x="${left}" y="${top}" width="${round(width)}" height="${BAR_HEIGHT}" rx="2"/>`;
  const cutAt = left + width - 24;
  const cut = `<path class="cut" d="M${round(cutAt)} ${top + BAR_HEIGHT + 1}l8 -${BAR_HEIGHT + 2}"/>`;
  const times = ratios === null || name === 'vmferry' ? '' : `, ${ratios.wallSeconds.toFixed(1)} ×`;
  const mark = verifiedMark(verified);
  return [
    label(left - 8, top + 14, title, isOwn ? 'title' : '', 'end'),
    bar,
    ...(wallSeconds > full ? [cut] : []),
    label(left + width + 8, top + 14, `${wallSeconds.toFixed(1)} s${times}${mark}`, isOwn ? 'title' : ''),
  ];
}

/** For moves: what the command itself proves of the written data. */
function verifiedMark(verified) {
  if (verified === undefined || verified === 'no') return '';
  return verified === 'read back from the disk' ? ' ✓✓' : ' ✓';
}

function footOf({ machine, summary }) {
  const marks = summary.some(({ verified }) => verified !== undefined)
    ? '✓✓ read back from the disk and compared · ✓ compared while it was received · no mark: not verified · '
    : '';
  return `${marks}${machine.cores} cores`;
}

function label(x, y, text, className = '', anchor = 'start') {
  const named = className === '' ? '' : ` class="${className}"`;
  const anchored = anchor === 'start' ? '' : ` text-anchor="${anchor}"`;
  return `<text${named} x="${round(x)}" y="${y}"${anchored}>${escaped(text)}</text>`;
}

function round(value) {
  return Math.round(value * 10) / 10;
}

function escaped(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  process.stdout.write(picture(JSON.parse(readFileSync(process.argv[2], 'utf8'))));
