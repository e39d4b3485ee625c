import { describe, expect, test } from '@jest/globals';
import { formatOfName, nameInFormat } from '../../../../src/image/formats/image-format.ts';
import { targetFormatOf, targetNameOf } from '../../../../src/image/target/target-format.ts';

describe('the format of an image', () => {
  test.each([
    ['/srv/web.qcow2', 'qcow2'],
    ['/srv/web.QCOW', 'qcow2'],
    ['web.vmdk', 'vmdk'],
    ['web.vdi', 'vdi'],
    ['web.vhd', 'vpc'],
    ['web.vpc', 'vpc'],
    ['web.vhdx', 'vhdx'],
    ['web.cow', 'cow'],
    ['web.img', 'raw'],
    ['web', 'raw'],
    ['/srv/web.qcow2/disk', 'raw'],
    ['qcow2', 'raw'],
    ['web.qcow2.bak', 'raw'],
    ['.qcow2', 'qcow2'],
  ] as const)('%s is %s by its name', (path, format) => {
    expect(formatOfName(path)).toBe(format);
  });

  test('a copy has the ending of its own format', () => {
    expect(nameInFormat('web.vmdk', 'qcow2')).toBe('web.qcow2');
    expect(nameInFormat('web.img', 'qcow2')).toBe('web.qcow2');
    expect(nameInFormat('web', 'qcow2')).toBe('web.qcow2');
    expect(nameInFormat('web.qcow2', 'qcow2')).toBe('web.qcow2');
    expect(nameInFormat('web.qcow2', 'raw')).toBe('web.img');
    expect(nameInFormat('.qcow2', 'raw')).toBe('.qcow2.img');
    expect(nameInFormat('web.example.org', 'qcow2')).toBe('web.example.org.qcow2');
  });

  test('raw stays raw, and everything else becomes qcow2, unless another format is wanted', () => {
    expect(targetFormatOf('raw', null)).toBe('raw');
    expect(targetFormatOf('vmdk', null)).toBe('qcow2');
    expect(targetFormatOf('qcow2', 'raw')).toBe('raw');
    expect(targetNameOf({ path: '/srv/web.vhd', format: 'vpc' })).toBe('web.qcow2');
    expect(targetNameOf({ path: '/srv/web.img' })).toBe('web.img');
    // A raw image keeps even a wrong name.
    expect(targetNameOf({ path: '/srv/web.qcow2', format: 'raw' })).toBe('web.qcow2');
    expect(targetNameOf({ path: '/srv/web.qcow2', format: 'qcow2' }, 'raw')).toBe('web.img');
  });
});
