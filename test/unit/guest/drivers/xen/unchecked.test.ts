import { expect, test } from '@jest/globals';
import type { Event } from '../../../../../src/events.ts';
import { readXenConfig } from '../../../../../src/guest/drivers/xen/config/read.ts';
import { createXenDriver } from '../../../../../src/guest/drivers/xen/driver.ts';

async function toldOf(...lines: string[]): Promise<Event[]> {
  const { definition } = readXenConfig(['name = "web"', 'type = "hvm"', ...lines, ''].join('\n'));
  if (definition === null) throw new Error('no definition');
  const told: Event[] = [];
  const context = { signal: new AbortController().signal, report: (event: Event) => void told.push(event) };
  expect(await createXenDriver({}).probe(definition, context)).toBeNull();
  return told;
}

test('a guest that chooses features of its processor moves with a warning: vmferry does not compare them', async () => {
  expect(await toldOf('cpuid = "host,avx512f=0"', 'vcpus = 2')).toMatchObject([
    {
      type: 'warning',
      message:
        'web chooses features of its processor (line 3: cpuid = "host,avx512f=0"). Whether the new processor has them is not checked.',
    },
  ]);
  expect(await toldOf('vcpus = 2')).toEqual([]);
});
