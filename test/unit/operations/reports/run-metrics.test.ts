import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { MetricSet, parseMetrics } from '../../../../src/operations/reports/run-metrics.ts';

const labels = { operation: 'backup', guest: 'web', store: 'sftp://h/v' };

describe('metrics', () => {
  test('are written as Prometheus reads them', () => {
    const metrics = new MetricSet();
    metrics.set('vmferry_exit_status', { ...labels, guest: 'a"b\\c\nd' }, 12);
    metrics.set('vmferry_run_duration_seconds', labels, 1.5);
    expect(metrics.toText()).toBe(
      [
        '# HELP vmferry_run_duration_seconds How long the last run took.',
        '# TYPE vmferry_run_duration_seconds gauge',
        'vmferry_run_duration_seconds{operation="backup",guest="web",store="sftp://h/v"} 1.5',
        '# HELP vmferry_exit_status Exit status of the last run: 0 is success.',
        '# TYPE vmferry_exit_status gauge',
        String.raw`vmferry_exit_status{operation="backup",guest="a\"b\\c\nd",store="sftp://h/v"} 12`,
        '',
      ].join('\n'),
    );
  });

  test('are read back as they were written, whatever the names of guests and stores', () => {
    const name = fc.oneof(
      fc.string(),
      fc.string({ unit: fc.constantFrom('"', '\\', '\n', 'n', ',', '=', '}', ' ') }),
    );
    fc.assert(
      fc.property(
        fc.array(fc.record({ guest: name, store: name, value: fc.nat() }), { maxLength: 8 }),
        (samples) => {
          const metrics = new MetricSet();
          for (const { guest, store, value } of samples)
            metrics.set('vmferry_new_bytes', { operation: 'backup', guest, store }, value);
          const again = parseMetrics(metrics.toText());
          expect(again?.toText()).toBe(metrics.toText());
          for (const { guest, store } of samples) {
            const one = { operation: 'backup', guest, store };
            expect(again?.get('vmferry_new_bytes', one)).toBe(metrics.get('vmferry_new_bytes', one));
          }
        },
      ),
    );
  });

  test.each([
    'node_load1 0.2\n',
    'vmferry_new_bytes 1\n',
    'vmferry_new_bytes{guest="a"} 1\n',
    'vmferry_new_bytes{operation="backup",guest="a",store="s"} NaN\n',
    'vmferry_new_bytes{operation="backup",guest="a",store="s"} 1',
    'vmferry_new_bytes{operation="backup",guest="a\\t",store="s"} 1\n',
    'vmferry_new_bytes{operation="backup",guest="a",store="s"} 1\n'.repeat(2),
    '# something else\n',
    '\n',
  ])('that vmferry has not written are not read: %j', (text) => {
    expect(parseMetrics(text)).toBeNull();
  });

  test('are empty for an empty file', () => {
    expect(parseMetrics('')?.toText()).toBe('');
  });
});
