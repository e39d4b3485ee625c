import { toFailureRecord } from '../../failure.ts';
import { printableJson } from '../terminal/printable.ts';
import type { Reporter, TextSink } from './reporter.ts';

/**
 * One JSON object per line, all on one stream: events as they happen, then the result or an `{"type":"error"}` with code,
 * message, advice and exit status. If there are several problems, `problems` lists them.
 */
export function createJsonReporter(stdout: TextSink): Reporter {
  const print = (record: object) => {
    stdout.write(`${printableJson(record)}\n`);
  };
  return {
    event: print,
    succeeded: ({ record }) => {
      print(record);
    },
    failed: (failure) => {
      print({
        type: 'error',
        ...toFailureRecord(failure),
        exitStatus: failure.exitStatus,
        ...(failure.all.length > 1 ? { problems: failure.all.map(toFailureRecord) } : {}),
      });
    },
    notice: (message) => {
      print({ type: 'notice', message });
    },
  };
}
