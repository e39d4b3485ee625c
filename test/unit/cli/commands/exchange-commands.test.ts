import { describe, expect, test } from '@jest/globals';
import { PassThrough } from 'node:stream';
import { readElsewhere, readExportFile, readFilePlace } from '../../../../src/cli/options/archive-options.ts';
import { exportCommand } from '../../../../src/cli/commands/exchange/export.ts';
import { importCommand } from '../../../../src/cli/commands/exchange/import.ts';
import { parseCommandLine } from '../../../../src/cli/options/parse.ts';

const world = { version: '1', columns: 80 };

describe('what an export writes, by the name of its file', () => {
  test.each([
    ['/a/web.tar.zst', 'archive', 'zstd'],
    ['/a/web.tzst', 'archive', 'zstd'],
    ['/a/web.tar.gz', 'archive', 'gzip'],
    ['/a/web.tgz', 'archive', 'gzip'],
    ['/a/web.tar.xz', 'archive', 'xz'],
    ['/a/web.tar.bz2', 'archive', 'bzip2'],
    ['/a/web.tar', 'archive', 'none'],
    ['/a/web.img', 'image', 'none'],
    ['/a/web.raw.zst', 'image', 'zstd'],
    ['/a/WEB.IMG.BZ2', 'image', 'bzip2'],
  ])('%s', (output, content, format) => {
    expect(readExportFile({ output })).toEqual({
      output: { path: output, host: null },
      content,
      format,
    });
  });

  test('is refused where the name does not tell it, unless --codec does', () => {
    for (const output of ['web', 'web.zip', 'web.zst', '.tar.d'])
      expect(() => readExportFile({ output })).toThrow(expect.objectContaining({ code: 'usage' }));
    expect(readExportFile({ output: '/a/web', codec: 'xz' })).toMatchObject({
      content: 'archive',
      format: 'xz',
    });
    expect(() => readExportFile({ output: '/a/web', codec: 'rar' })).toThrow('--codec takes one of');
  });

  test('may be on another machine; a colon behind a slash belongs to a path', () => {
    const host = { destination: 'me@box', port: null, sshConfigFile: '/etc/my' };
    expect(readExportFile({ output: 'me@box:old/web.img.bz2', 'ssh-config': '/etc/my' })).toEqual({
      output: { path: 'old/web.img.bz2', host },
      content: 'image',
      format: 'bzip2',
    });
    expect(readFilePlace({}, 'sftp://box:2022/srv/web.tar')).toEqual({
      path: '/srv/web.tar',
      host: { destination: 'box', port: 2022, sshConfigFile: null },
    });
    expect(readFilePlace({}, '/a:b/web.tar')).toEqual({ path: '/a:b/web.tar', host: null });
    expect(() => readFilePlace({}, 'ftp://box/web.tar')).toThrow('cannot be a file: only URLs');
  });

  test('to standard output is an archive in zstd, unless it is told otherwise', () => {
    expect(readExportFile({ output: '-' })).toEqual({ output: null, content: 'archive', format: 'zstd' });
    expect(readExportFile({ output: '-', image: true, codec: 'bzip2' })).toEqual({
      output: null,
      content: 'image',
      format: 'bzip2',
    });
  });
});

test('with --json nothing is exported to standard output', async () => {
  const typed = ['export', 'web', '-o', '-', '--json'];
  await expect(parseCommandLine(typed, [exportCommand], world)).rejects.toMatchObject({ code: 'usage' });
});

test('in the place of a guest, HOST:PATH and - may be archives; a name with a colon that is no place is a guest', () => {
  const stdin = new PassThrough();
  const names = ['web', '/srv/a:b', './a:b', 'a:b@c', '::1', '-', 'box:web.bz2', 'sftp://box/srv/web.tar'];
  const host = { destination: 'box', port: null, sshConfigFile: null };
  expect([...readElsewhere({}, names, stdin)]).toEqual([
    ['-', stdin],
    ['box:web.bz2', { path: 'web.bz2', host }],
    ['sftp://box/srv/web.tar', { path: '/srv/web.tar', host }],
  ]);
  expect(() => readElsewhere({}, ['me:secret@box:/web.bz2'], stdin)).toThrow('cannot contain a password');
});

test('- is standard input, but not a terminal', async () => {
  const parsed = await parseCommandLine(['import', '-', '--to', '/x'], [importCommand], world);
  if (parsed.kind !== 'command') throw new Error('no command');
  expect(parsed.args['file']).toBe('-');
  const stdin = Object.assign(new PassThrough(), { isTTY: true });
  const environment = { dependencies: {}, context: {}, stdin, stdout: new PassThrough() } as never;
  await expect(parsed.run(environment)).rejects.toMatchObject({
    code: 'usage',
    message: expect.stringContaining('terminal'),
  });
});
