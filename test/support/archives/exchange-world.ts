import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { PassThrough, type Readable, type Writable } from 'node:stream';
import type { Context, Event } from '../../../src/events.ts';
import { createRecordStore } from '../../../src/guest/record-store.ts';
import { exportGuest, type ExportDependencies } from '../../../src/operations/exchange/export.ts';
import type { ExportReport, ExportRequest } from '../../../src/operations/exchange/export-report.ts';
import { umlLanguage } from '../../../src/guest/drivers/uml/language.ts';
import { importArchive, type ImportDependencies } from '../../../src/operations/exchange/import.ts';
import type { GuestDriver } from '../../../src/guest/guest-driver.ts';
import type { ImportReport, ImportRequest } from '../../../src/operations/exchange/import-report.ts';
import { connectSsh } from '../../../src/store/sftp/ssh-connection.ts';
import { thisMachine } from '../../../src/system/machine.ts';
import { FramePool } from '../../../src/workers/frame-pool.ts';
import { bunzipInThread } from '../../../src/workers/bunzip2-thread.ts';
import { bunzipWorkerUrl, frameWorkerUrl } from '../assembly.ts';
import { scratchDirectory } from '../images/images.ts';

/** A path of this machine, or any other place. */
export function placeOf<Place>(place: Place | string): Place | { path: string; host: null } {
  return typeof place === 'string' ? { path: place, host: null } : place;
}

/** A scratch directory, and everything that exports and imports need. */
export class ExchangeWorld implements AsyncDisposable {
  readonly #scratch = scratchDirectory();
  readonly path = this.#scratch.path;
  readonly events: Event[] = [];
  drivers: readonly GuestDriver[] = [];
  readonly pool = new FramePool(frameWorkerUrl, 2);
  readonly #aborting = new AbortController();
  /** Called with each event. */
  onEvent: (event: Event) => void = () => undefined;

  get context(): Context {
    return {
      signal: this.#aborting.signal,
      report: (event) => (this.events.push(event), this.onEvent(event)),
    };
  }

  /** Interrupts whatever runs. */
  abort(reason: Error): void {
    this.#aborting.abort(reason);
  }

  dependencies(environment: NodeJS.ProcessEnv = process.env): ExportDependencies & ImportDependencies {
    return {
      drivers: this.drivers,
      loadLanguages: () => Promise.resolve([umlLanguage]),
      bootFilesOf: (guest: string) => ({
        kernel: join(this.path, 'kernel', guest),
        initrd: join(this.path, 'initrd', guest),
      }),
      records: createRecordStore(join(this.path, 'guests')),
      consoleLogOf: (guest) => join(this.path, `${guest}.log`),
      version: '0.0.0',
      pool: this.pool,
      bunzip: (pieces, signal) => bunzipInThread(bunzipWorkerUrl, pieces, signal),
      environment,
      connect: connectSsh,
      machine: () => thisMachine(),
      now: () => new Date('2026-11-29T12:00:00Z'),
      randomHex: (digits) => randomBytes(digits).toString('hex').slice(0, digits),
    };
  }

  /** Exports an image to a file of the scratch directory. */
  export(
    guest: string,
    request: Partial<Omit<ExportRequest, 'output'>> & { output: ExportRequest['output'] | string },
    { stdout = new PassThrough(), environment }: { stdout?: Writable; environment?: NodeJS.ProcessEnv } = {},
  ): Promise<ExportReport> {
    const whole: ExportRequest = {
      guest,
      content: 'archive',
      format: 'zstd',
      compression: 3,
      everyBlock: false,
      hold: 'clone',
      haltTimeoutMs: 1000,
      forceHalt: false,
      bootTimeoutMs: 1000,
      ...request,
      output: placeOf(request.output),
    };
    return exportGuest(whole, stdout, this.dependencies(environment), this.context);
  }

  import(
    request: Partial<Omit<ImportRequest, 'from'>> & {
      from: ImportRequest['from'] | string;
      to: string;
    },
    { stdin = new PassThrough(), environment }: { stdin?: Readable; environment?: NodeJS.ProcessEnv } = {},
  ): Promise<ImportReport> {
    const whole = { overwrite: false, start: null, ...request, from: placeOf(request.from) };
    return importArchive(whole, stdin, this.dependencies(environment), this.context);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool[Symbol.asyncDispose]();
    this.#scratch[Symbol.dispose]();
  }
}
