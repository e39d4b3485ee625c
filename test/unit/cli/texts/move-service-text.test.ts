import { expect, test } from '@jest/globals';
import { moveServiceText } from '../../../../src/cli/texts/move-service-text.ts';

const service = {
  type: 'move-service',
  guest: 'my web',
  destination: 'newhost',
  unit: String.raw`vmferry-move-my\x20web.service`,
  file: String.raw`/etc/systemd/system/vmferry-move-my\x20web.service`,
} as const;

test('a move as a service says how to watch it, to end its waiting, and to give it up', () => {
  const lines = moveServiceText({ ...service, isSystem: true }).split('\n');
  expect(lines).toEqual([
    `A service of this machine moves my web to newhost. After a reboot it goes on: ${service.file}`,
    `To see how far it is: vmferry migrations; journalctl -fu '${service.unit}'`,
    "To halt my web and move it now: vmferry cutover 'my web'",
    `To give it up: systemctl disable --now '${service.unit}'`,
  ]);
});

test('a service of an account says when it runs', () => {
  const text = moveServiceText({ ...service, isSystem: false });
  expect(text).toContain(`journalctl --user -fu '${service.unit}'`);
  expect(text).toContain('loginctl enable-linger');
});
