import { performance } from 'node:perf_hooks';
import type { Readable } from 'node:stream';
import type { Context } from '../../events.ts';
import type { FilterDependencies } from '../unpack/filters.ts';
import { openInput, type FileDependencies } from '../unpack/input.ts';
import { unpackFile } from '../unpack/unpack-file.ts';
import type { ImportReport, ImportRequest } from './import-report.ts';
import { ImportedGuest, type StartDependencies } from './imported-guest.ts';

export type ImportDependencies = FilterDependencies & FileDependencies & StartDependencies;

/**
 * Unpacks an archive or a compressed image to a new file or a device, and reads it back. Starts the guest then, on request. Throws what
 * `unpackFile` and `ImportedGuest` throw.
 */
export async function importArchive(
  request: ImportRequest,
  stdin: Readable,
  dependencies: ImportDependencies,
  context: Context,
): Promise<ImportReport> {
  const startedMs = performance.now();
  const guest =
    request.start === null ? null : new ImportedGuest(request.start, request.to, dependencies, context);
  const { path, content, compression, manifest, checked, disks } = await unpackFile(
    request,
    (onRead) => openInput(request.from ?? stdin, dependencies, onRead, context),
    async (...next) => guest?.requireStartable(...next),
    dependencies,
    context,
  );
  const started = guest === null ? null : await guest.start();
  return {
    type: 'imported',
    from: request.from === null ? null : path,
    content,
    compression,
    guest: manifest?.guest ?? null,
    checked,
    disks,
    started,
    seconds: (performance.now() - startedMs) / 1000,
  };
}
