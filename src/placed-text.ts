import { quoteForShell } from './quote-for-shell.ts';

/**
 * Texts that are written on one machine and read at another. What a receiver finds wrong is read where `vmferry migrate`
 * was typed: "here" would be the wrong machine, and a command for the new hardware, typed as it is, would halt the guest
 * that still runs. Such words are pieces of their own, and get their form where the text is read.
 */

/** A word that depends on where it is read; a plain string is the same everywhere. */
export type TextPiece =
  | string
  /** The machine that the text tells of. */
  | { place: 'here' }
  /** What to type on that machine: `mkdir -p /srv/guests`. */
  | { command: string }
  /** What to type behind `vmferry` on that machine: `halt web`. */
  | { vmferry: string };

/** The machine that a text came from, as the person who reads it reaches it. */
export interface OtherMachine {
  /** As it is called: `root@new.example`. */
  name: string;
  /** What a command for that machine begins with: `ssh root@new.example`. */
  ssh: string;
  /** What starts vmferry there. */
  vmferry: string;
}

export class PlacedText {
  readonly pieces: readonly TextPiece[];

  constructor(pieces: readonly TextPiece[]) {
    this.pieces = pieces;
  }

  /** As it is read on the machine that it tells of. */
  toString(): string {
    return this.pieces
      .map((piece) => {
        if (typeof piece === 'string') return piece;
        if ('command' in piece) return piece.command;
        return 'vmferry' in piece ? `vmferry ${piece.vmferry}` : 'here';
      })
      .join('');
  }

  /** As it is read on another machine. */
  readFrom(machine: OtherMachine): string {
    return this.pieces
      .map((piece) => {
        if (typeof piece === 'string') return piece;
        if ('command' in piece) return overSsh(machine, piece.command);
        return 'vmferry' in piece
          ? overSsh(machine, `${machine.vmferry} ${piece.vmferry}`)
          : `on ${machine.name}`;
      })
      .join('');
  }

  /** As `readFrom`, and in any case with the machine's name: where no piece names it, the text begins with it. */
  toldFrom(machine: OtherMachine): string {
    const isNamed = this.pieces.some((piece) => typeof piece === 'object' && 'place' in piece);
    const text = this.readFrom(machine);
    return isNamed ? text : `On ${machine.name}: ${text}`;
  }
}

/** The shell there reads the command once more: what is quoted in it has to stay quoted. */
function overSsh({ ssh }: OtherMachine, line: string): string {
  const isPlain = /^[\w@%+=:,./ -]+$/.test(line);
  return `${ssh} ${isPlain ? line : quoteForShell(line)}`;
}

export const here: TextPiece = { place: 'here' };

/** A command to type on the machine that the text tells of. */
export function command(...words: readonly string[]): TextPiece {
  return { command: words.map(quoteForShell).join(' ') };
}

/** The same, for what stands behind `vmferry`. */
export function vmferry(...words: readonly string[]): TextPiece {
  return { vmferry: words.map(quoteForShell).join(' ') };
}

/** A text from a template: placed`${name} runs ${here} already.` */
export function placed(
  literals: TemplateStringsArray,
  ...values: readonly (TextPiece | PlacedText | number)[]
): PlacedText {
  const pieces = literals.flatMap((literal, index): readonly TextPiece[] => {
    const value = values[index];
    if (value === undefined) return [literal];
    if (value instanceof PlacedText) return [literal, ...value.pieces];
    return [literal, typeof value === 'number' ? String(value) : value];
  });
  return new PlacedText(pieces.filter((piece) => piece !== ''));
}

export function asPlaced(text: string | PlacedText): PlacedText {
  return typeof text === 'string' ? new PlacedText([text]) : text;
}
