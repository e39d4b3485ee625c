/**
 * Characters that a terminal obeys, or that hide text: control characters (C0 and C1), invisible and direction-changing
 * characters, line separators, lone surrogates.
 */
export const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** A control character of ASCII. */
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
export const controlCharacter = /[\u0000-\u001f\u007f]/;
