import { expect, test } from '@jest/globals';
import { moveServiceText } from '../../../../src/cli/texts/move-service-text.ts';

const service = {
  type: 'move-service',
  guest: 'my web',
  destination: 'newhost',
  cutoverAt: null,
  giveUp: 'ssh newhost rm -f /srv/web.img.partial',
  unit: String.raw`vmferry-move-my\x20web.service`,
  file: String.raw`/etc/systemd/system/vmferry-move-my\x20web.service`,
} as const;

test('a move as a service says how to watch it, to end its waiting, and to give it up', () => {
  const lines = moveServiceText({ ...service, isSystem: true }).split('\n');
  expect(lines).toEqual([
    `A service of this machine moves my web to newhost. After a reboot it goes on: ${service.file}`,
    `To see how far it is: vmferry migrations; journalctl -fu '${service.unit}'`,
    "To halt it and move it at once: vmferry cutover 'my web'",
    `To give it up: systemctl disable --now '${service.unit}'. What was copied then stays there until: ${service.giveUp}`,
  ]);
});

test('a move at a time says when', () => {
  const cutoverAt = new Date('2026-12-24T03:00').toISOString();
  const text = moveServiceText({ ...service, isSystem: true, cutoverAt });
  expect(text).toMatch(/^my web is halted at 2026-12-24 03:00/m);
});

test('a service of an account says when it runs', () => {
  const text = moveServiceText({ ...service, isSystem: false });
  expect(text).toContain(`journalctl --user -fu '${service.unit}'`);
  expect(text).toContain('loginctl enable-linger');
});
