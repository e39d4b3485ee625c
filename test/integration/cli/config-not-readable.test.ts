import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { run } from '../../../src/system/processes.ts';
import { programFile } from '../../support/programs/command-line.ts';
import { scratchDirectory } from '../../support/images/images.ts';
import { describeUnless, toolsMissing } from '../../support/programs/tools.ts';

/** Root can read everything, unless it gives up these capabilities. */
const asAnybody =
  process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-dac_override,-dac_read_search'] : ['env'];

describeUnless(
  toolsMissing(...asAnybody.slice(0, 1)),
  'a configuration in a directory that this account may not read',
  () => {
    const scratch = scratchDirectory();
    const closed = join(scratch.path, 'config', 'vmferry');
    const file = join(closed, 'config.yaml');
    beforeAll(() => {
      mkdirSync(closed, { recursive: true });
      writeFileSync(file, 'stores: { offsite: { location: /srv/offsite } }\n');
    });
    afterAll(() => {
      chmodSync(closed, 0o700);
      scratch[Symbol.dispose]();
    });
    const list = (...args: readonly string[]) => {
      const [program = '', ...words] = [...asAnybody, process.execPath, programFile, 'list', ...args];
      const env = {
        ...process.env,
        NODE_OPTIONS: '',
        VMFERRY_STATE_DIR: join(scratch.path, 'state'),
        XDG_CONFIG_HOME: join(scratch.path, 'config'),
      };
      return run(program, words, { env });
    };

    test('is ignored, with a warning', async () => {
      chmodSync(closed, 0o000);
      const { exitStatus, stderr } = await list(join(scratch.path, 'nothing'));
      expect(stderr).toContain(`warning: Ignored the configuration ${file}: this account may not read it.`);
      expect({ exitStatus, stderr }).toEqual({
        exitStatus: 19,
        stderr: expect.stringContaining(`There is no store of backups at ${join(scratch.path, 'nothing')}`),
      });
    });

    test('is ignored, so its stores are not found', async () => {
      chmodSync(closed, 0o000);
      const { exitStatus, stderr } = await list('@offsite');
      expect(stderr).toContain('this account may not read it');
      expect({ exitStatus, stderr }).toEqual({
        exitStatus: 2,
        stderr: expect.stringContaining('no store named "offsite"'),
      });
    });

    test('is read if the directory allows it', async () => {
      chmodSync(closed, 0o700);
      expect((await list('@offsite')).stderr).toContain('There is no store of backups at /srv/offsite');
    });
  },
);
