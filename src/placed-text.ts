import { quoteForShell, shellLine } from './quote-for-shell.ts';

/*
 * Texts that are written on one machine and read on another. The messages of a receiver are read on the machine where
 * `vmferry migrate` was typed: "here" would mean the wrong machine, and a command for the new hardware would halt the guest that
 * still runs. Such words are pieces of their own, which get their form where the text is read.
 */

/** A plain string reads the same everywhere; the other pieces depend on the reader's machine. */
export type TextPiece =
  | string
  /** The machine that wrote the text. */
  | { place: 'here' }
  /** A command to type on that machine: `mkdir -p /srv/guests`. */
  | { command: string }
  /** Arguments of `vmferry` to type on that machine: `halt web`. */
  | { vmferry: string };

/** The machine that wrote a text, for a reader on another one. */
export interface OtherMachine {
  /** `root@new.example` */
  name: string;
  /** The start of a command for that machine: `ssh root@new.example`. */
  ssh: string;
  /** The command that starts vmferry there. */
  vmferry: string;
}

export class PlacedText {
  readonly pieces: readonly TextPiece[];

  constructor(pieces: readonly TextPiece[]) {
    this.pieces = pieces;
  }

  /** For a reader on the machine that wrote it. */
  toString(): string {
    return this.pieces
      .map((piece) => {
        if (typeof piece === 'string') return piece;
        if ('command' in piece) return piece.command;
        return 'vmferry' in piece ? `vmferry ${piece.vmferry}` : 'here';
      })
      .join('');
  }

  /** For a reader on another machine. */
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

  /** As `readFrom`, but always with the machine's name: a text that does not contain it begins with it. */
  toldFrom(machine: OtherMachine): string {
    const isNamed = this.pieces.some((piece) => typeof piece === 'object' && 'place' in piece);
    const text = this.readFrom(machine);
    return isNamed ? text : `On ${machine.name}: ${text}`;
  }
}

/** The shell of that machine parses the line again, so its quotes have to be quoted. */
function overSsh({ ssh }: OtherMachine, line: string): string {
  const isPlain = /^[\w@%+=:,./ -]+$/.test(line);
  return `${ssh} ${isPlain ? line : quoteForShell(line)}`;
}

export const here: TextPiece = { place: 'here' };

/** A command to type on the machine that wrote the text. */
export function command(...words: readonly string[]): TextPiece {
  return { command: shellLine(words) };
}

/** The same for the arguments of `vmferry`. */
export function vmferry(...words: readonly string[]): TextPiece {
  return { vmferry: shellLine(words) };
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
