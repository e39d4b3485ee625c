import { expect, test } from '@jest/globals';
import { command, here, placed, vmferry } from '../../src/placed-text.ts';

const machine = { name: 'root@new', ssh: 'ssh -F /etc/lab root@new', vmferry: 'sudo vmferry' };

test('on its own machine a text says "here", and its commands can be typed as they are', () => {
  const text = placed`A guest named ${'web'} runs ${here} already: ${vmferry('halt', 'web')}, or ${command('ps', '-s', '12')}.`;
  expect(String(text)).toBe('A guest named web runs here already: vmferry halt web, or ps -s 12.');
});

test('on another machine a text names its machine, and its commands run there by ssh', () => {
  const text = placed`A guest named ${'web'} runs ${here} already: ${vmferry('halt', 'web')}, or ${command('ps', '-s', '12')}.`;
  expect(text.toldFrom(machine)).toBe(
    'A guest named web runs on root@new already: ssh -F /etc/lab root@new sudo vmferry halt web, ' +
      'or ssh -F /etc/lab root@new ps -s 12.',
  );
});

test('a text that names no machine begins with the name of its machine', () => {
  expect(placed`/srv/web.img is full.`.toldFrom(machine)).toBe('On root@new: /srv/web.img is full.');
});

test('quoted words of a command stay quoted for the shell of the other machine', () => {
  expect(placed`${command('rm', '/srv/a b')}`.readFrom({ ...machine, ssh: 'ssh new' })).toBe(
    String.raw`ssh new 'rm '\''/srv/a b'\'''`,
  );
});

test('a text within a text keeps its pieces', () => {
  const inner = placed`It is ${here}.`;
  expect(placed`${inner} ${3} times.`.readFrom(machine)).toBe('It is on root@new. 3 times.');
});
