/** A part of the definition, and the settings that it comes from. */
export interface ReadPart<Fields> {
  fields: Fields;
  /** Keys that the neutral definition has, whole. */
  understood: readonly string[];
  /** What these keys say beyond it, with its line. */
  beyond: readonly string[];
}
