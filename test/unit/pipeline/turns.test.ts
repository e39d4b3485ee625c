import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Turns } from '../../../src/pipeline/turns.ts';

const { signal } = new AbortController();

test('turns come one at a time, in order, whatever each caller does', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.record({ ticks: fc.nat(3), isAborted: fc.boolean() })), async (visitors) => {
      const turns = new Turns();
      const order: number[] = [];
      let inside = 0;
      const visits = visitors.map(async ({ ticks, isAborted }, index) => {
        const abort = new AbortController();
        const taking = turns.take(isAborted ? abort.signal : signal);
        if (isAborted) {
          abort.abort(new Error('enough'));
          await expect(taking).rejects.toThrow('enough');
          return;
        }
        const end = await taking;
        expect(++inside).toBe(1);
        order.push(index);
        for (let tick = 0; tick < ticks; tick++) await Promise.resolve();
        inside--;
        end();
        end();
      });
      await Promise.all(visits);
      expect(order).toEqual([...visitors.keys()].filter((index) => visitors[index]?.isAborted === false));
    }),
  );
});
