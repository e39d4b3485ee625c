/**
 * Characters that a terminal obeys, or that hide text: control characters (C0 and C1), invisible and direction-changing
 * characters, line separators, lone surrogates.
 */
export const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;
