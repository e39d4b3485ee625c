import type { Failure } from '../failure.ts';
import type { DriverKind, GuestDefinition } from './definition.ts';

/** A kind of hypervisor. */
export type HypervisorKind = Exclude<DriverKind, 'offline'>;

/** Where the text of a definition comes from. */
export interface DefinitionPlace {
  /** How messages name the text: `web.cfg`, `the domain web`. Its last part without an ending names a guest that has no name. */
  name: string;
  /** Absolute path of the directory that relative paths in the text start from. */
  directory: string;
}

export interface ReadDefinition {
  definition: GuestDefinition;
  /**
   * What was not understood and stands in the way of moving the guest, each with its place. Empty when the definition is
   * complete. What the neutral form has no field for, and what does not matter to the guest's start elsewhere, is in
   * `definition.native.beyond` instead.
   */
  problems: readonly Failure[];
}

/**
 * The language in which a hypervisor keeps or is given the definition of a guest: a UML or QEMU command line, libvirt's domain
 * XML, a file for xl. Each driver's folder has one, in `language.ts`; `wiring.ts` lists them. It is pure: it opens no file
 * and starts no program. `write` then `read` gives the same definition but for `native`.
 */
export interface DefinitionLanguage {
  kind: HypervisorKind;
  /**
   * Whether a text is in this language, by its content first, then by its file's name (`web.cfg`, no directory). No text is
   * recognised by two languages. It never throws, whatever the text is.
   */
  recognizes(text: string, fileName: string): boolean;
  /**
   * Reads a definition; `native` is set (but for User Mode Linux). Throws Failure `guest-unsupported`, with the line and what
   * to do, for a text that cannot be read at all.
   */
  read(text: string, place: DefinitionPlace): ReadDefinition;
  /**
   * The definition in this language, ending with a newline, as a person would keep it. If it has a `native` text, that is the
   * base, and only what differs from it is replaced. A kernel that is null, though the guest boots from one, is left out: see
   * `GuestDriver.complete`. Throws Failure `guest-unsupported` for what the language cannot say, such as a path with a
   * character that it has no way to quote.
   */
  write(definition: GuestDefinition): string;
}
