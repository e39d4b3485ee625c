import { expect, test } from '@jest/globals';
import { compareVersions } from '../../../../src/guest/inspection/version-order.ts';

test.each([
  ['3.10.0-1160.el7.x86_64', '3.10.0-1160.119.1.el7.x86_64'],
  ['5.14.0-70.el9.x86_64', '5.14.0-70.13.1.el9.x86_64'],
  ['9d3f-0-rescue', '9d3f-6.5.6-200.fc38.x86_64'],
  ['6.5-200', '6.5.1-100'],
  ['6.1.0-9-amd64', '6.1.0-10-amd64'],
  ['6.1~rc1', '6.1'],
  ['6.1.0-rc1', '6.1.0-rc2'],
  ['6.1.0-rc7-amd64', '6.1.0-amd64'],
  ['6.1.0-rc1', '6.1.0'],
  ['6.1.a', '6.1.1'],
  ['6.1', '6.1.a'],
  ['6.1', '6.1-1'],
  ['2', '10'],
  ['99999999999999999998', '99999999999999999999'],
  ['generic', 'virtual'],
])('%s is older than %s', (older, newer) => {
  expect(Math.sign(compareVersions(older, newer))).toBe(-1);
  expect(Math.sign(compareVersions(newer, older))).toBe(1);
});

test.each([
  ['6.1.0', '6.01.0'],
  ['6.1_0', '6.1+0'],
])('%s and %s are the same for rpm', (one, other) => {
  expect(compareVersions(one, other)).toBe(0);
});
