/**
 * Orders the versions of kernels as rpm orders those of packages (rpm-version(7)), and as GRUB orders the entries of
 * /boot/loader/entries: part by part, between dashes; `~` and nothing before all else, letters before digits. `-rc1` is `~rc1`.
 */
export function compareVersions(one: string, other: string): number {
  const [parts, otherParts] = [partsOf(one), partsOf(other)];
  for (let at = 0; at < Math.min(parts.length, otherParts.length); at++) {
    const order = comparePart(parts[at] ?? '', otherParts[at] ?? '');
    if (order !== 0) return order;
  }
  return parts.length - otherParts.length;
}

function partsOf(version: string): string[] {
  return version.replaceAll(/-(?=(?:rc|pre)\d)/g, '~').split('-');
}

function comparePart(one: string, other: string): number {
  const [pieces, otherPieces] = [piecesOf(one), piecesOf(other)];
  for (let at = 0; at < Math.max(pieces.length, otherPieces.length); at++) {
    const order = comparePiece(pieces[at] ?? '', otherPieces[at] ?? '');
    if (order !== 0) return order;
  }
  return 0;
}

/** What is between digits, letters and `~` only separates them. */
function piecesOf(part: string): string[] {
  return part.match(/\d+|[A-Za-z]+|~/g) ?? [];
}

function comparePiece(one: string, other: string): number {
  const kind = rank(one) - rank(other);
  if (kind !== 0) return kind;
  const isNumber = /^\d/.test(one);
  const [first, second] = isNumber ? [one, other].map((digits) => digits.replace(/^0+/, '')) : [one, other];
  // Longer than a number that can be counted with.
  const length = isNumber ? (first?.length ?? 0) - (second?.length ?? 0) : 0;
  if (length !== 0) return length;
  return (first ?? '') < (second ?? '') ? -1 : Number((first ?? '') > (second ?? ''));
}

function rank(piece: string): number {
  if (piece === '~') return 0;
  if (piece === '') return 1;
  return /^\d/.test(piece) ? 3 : 2;
}
