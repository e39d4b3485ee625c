import { expect, test } from '@jest/globals';
import { scanGrubScript } from '../../../../src/guest/boot-menu/grub-script.ts';
import { evaluateTest } from '../../../../src/guest/boot-menu/grub-test.ts';

/** `x` is set, `root` is GRUB's own, and nobody sets the others. */
function evaluate(condition: string) {
  const valueOf = (name: string) => (name === 'x' ? 'X' : null);
  const [statement] = scanGrubScript({ path: '/boot/menu', text: condition }, valueOf);
  return evaluateTest(statement?.words ?? [], (name) => name === 'root');
}

test.each([
  ['[ "$x" ]', true],
  ['[ "$y" ]', false],
  ['[ -n "$x" ]', true],
  ['[ -n "${y}" ]', false],
  ['[ -z "$x" ]', false],
  ['[ -z "$y" ]', true],
  ['[ "$x" = X ]', true],
  ['[ "x$y" == x ]', true],
  ['[ "$x" != X ]', false],
  ['[ ! "$x" = Y ]', true],
  ['[ ! ! "$y" ]', false],
  ['[ "$y" -o "$x" ]', true],
  ['[ "$y" -a "$x" ]', false],
  ['[ "$x" -a "$x" = X -o "$y" ]', true],
  ['[ "$y" -a "$y" -o "$x" ]', true],
  ['[ ! "$y" -a "$x" ]', true],
  ['[ x$y = x ]', true],
])('%s is %s', (condition, truth) => {
  expect(evaluate(condition)).toBe(truth);
});

test.each([
  ['[ "$root" ]', null],
  ['[ -z "$root" ]', null],
  ['[ "$root" = "$x" ]', null],
  ['[ -s "$x" ]', null],
  ['[ "$x" -a -f /x ]', null],
  ['[ 1 -lt 2 ]', null],
  ['[ $y = Y ]', null],
  ['[ $y ]', null],
  ['[ -n $y ]', null],
  ['[ ]', null],
  ['[ ! ]', null],
  ['[ "$x" -a ]', null],
  ['loadfont "$x"', null],
  [`[ ${'! '.repeat(500_000)}x ]`, null],
  // What is not known does not matter.
  ['[ "$y" -a "$root" ]', false],
  ['[ "$x" -o "$root" ]', true],
])('nobody can say whether %.30s holds, unless the rest decides it', (condition, truth) => {
  expect(evaluate(condition)).toBe(truth);
});
