import type { Manifest } from '../../archive/manifest.ts';
import { damagedArchive } from '../../codec/damaged-archive.ts';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import type { DefinitionLanguage } from '../../guest/definition-language.ts';
import type { GuestDefinition } from '../../guest/definition.ts';
import { withImage } from '../../guest/disks/with-image.ts';
import { requireDriver } from '../../guest/require-driver.ts';
import type { GuestRecord } from '../../guest/guest-record.ts';
import { readDefinitionFile } from '../convert/read-definition-file.ts';
import { isConversion } from '../migrate/conversion/guest-there.ts';
import { requireArrivingStartable } from '../restore/arriving-guest.ts';
import { adaptRestored, convertRestored, type RestoredGuest } from '../restore/convert-restored.ts';
import type { GuestOrigin } from '../restore/old-host.ts';
import type { RestoreDependencies } from '../restore/restore.ts';
import { startRestored } from '../restore/restored-guest.ts';
import { definitionIn } from '../unpack/definition-in-manifest.ts';
import type { StartAfterImport } from './import-report.ts';
import { targetPathOf } from '../unpack/disk-target.ts';

export interface StartDependencies extends RestoreDependencies {
  loadLanguages: () => Promise<readonly DefinitionLanguage[]>;
}

/** What was found out before the first disk was written. */
interface Ready {
  definition: GuestDefinition;
  converted: RestoredGuest | null;
  earlier: GuestRecord | null;
}

/** The guest of an import, to be started from its imported disks. */
export class ImportedGuest {
  readonly #start: StartAfterImport;
  readonly #to: string;
  readonly #dependencies: StartDependencies;
  readonly #context: Context;
  #ready: Ready | null = null;

  /** @param to where the disks go */
  constructor(start: StartAfterImport, to: string, dependencies: StartDependencies, context: Context) {
    this.#start = start;
    this.#to = to;
    this.#dependencies = dependencies;
    this.#context = context;
  }

  /**
   * Makes sure, before a disk is written, that the guest can be started here. Throws Failure `usage`, `guest-unsupported`, and what
   * `requireArrivingStartable` and `readDefinitionFile` throw.
   * @param diskName the name of the disk that comes next
   */
  async requireStartable(manifest: Manifest | null, diskName: string): Promise<void> {
    if (this.#ready !== null) {
      if (this.#isOwn(manifest)) return;
      throw new Failure('usage', 'The archive holds several disks, and only one belongs to the guest.', {
        advice: 'Import it without --start.',
      });
    }
    const { conversion } = this.#start;
    const context = this.#context;
    const described = await this.#describedGuest(manifest);
    const definition = await this.#withPaths(described, manifest, diskName);
    const converted =
      conversion !== undefined && isConversion(conversion, definition)
        ? await convertRestored(described, definition, conversion, this.#dependencies, context)
        : null;
    const arriving = {
      definition: converted?.there.definition ?? definition,
      paths: definition.disks.map(({ path }) => path),
      origin: originOf(manifest),
      isTrusted: !this.#isOwn(manifest),
      coming: converted?.coming ?? null,
    };
    const earlier = await requireArrivingStartable(arriving, this.#start, this.#dependencies, context);
    this.#ready = { definition, converted, earlier };
  }

  /** Starts it. Call it when its disks have their names, and are closed. Throws what `startRestored` throws. */
  async start(): Promise<{ pid: number | null; consoleLog: string }> {
    if (this.#ready === null) throw new Error('a guest that was not found startable');
    const { definition, converted, earlier } = this.#ready;
    const { conversion, bootTimeoutMs } = this.#start;
    const { bootFilesOf } = this.#dependencies;
    const context = this.#context;
    const ready =
      converted === null || conversion === undefined
        ? definition
        : await adaptRestored(converted, conversion, bootFilesOf(definition.name), context);
    return startRestored(ready, earlier, bootTimeoutMs, this.#dependencies, context);
  }

  /** Whether the archive itself describes the guest. */
  #isOwn(manifest: Manifest | null): boolean {
    return hasDefinition(manifest) && this.#start.definitionFile === null;
  }

  async #describedGuest(manifest: Manifest | null): Promise<GuestDefinition> {
    const { definitionFile } = this.#start;
    if (definitionFile !== null) {
      if (hasDefinition(manifest))
        throw new Failure('usage', 'The archive describes its guest itself.', {
          advice: 'Omit --definition.',
        });
      const { drivers, loadLanguages } = this.#dependencies;
      const definition = await readDefinitionFile(definitionFile, null, await loadLanguages());
      return requireDriver(drivers, definition.driver).complete(definition, this.#context);
    }
    const own = manifest === null ? null : definitionIn(manifest);
    if (own !== null) return own;
    throw new Failure('guest-unsupported', 'The file does not say of which guest its disk is.', {
      advice:
        'Give a file that describes the guest (for xl, of libvirt, or with the command line of QEMU or User Mode Linux): ' +
        '--definition FILE. Or import it without --start.',
    });
  }

  /** The guest with its disks at their new places. */
  async #withPaths(
    described: GuestDefinition,
    manifest: Manifest | null,
    diskName: string,
  ): Promise<GuestDefinition> {
    const nameOf = new Map(manifest?.disks.map(({ device, name }) => [device, name]));
    const count = described.disks.length;
    if (!this.#isOwn(manifest) && count !== 1)
      throw new Failure('usage', `${described.name} has ${count} disks, and the file holds one.`, {
        advice: 'Import the disks one by one without --start, and start the guest with its own program.',
      });
    const disks = await Promise.all(
      described.disks.map(async (disk) => {
        const name = this.#isOwn(manifest) ? nameOf.get(disk.device) : diskName;
        if (name === undefined) throw damagedArchive(`lacks the disk ${disk.device} of its guest`);
        return withImage(disk, { path: await targetPathOf(this.#to, name), format: 'raw' });
      }),
    );
    return { ...described, disks };
  }
}

function hasDefinition(manifest: Manifest | null): boolean {
  return (manifest?.definition ?? null) !== null;
}

function originOf(manifest: Manifest | null): GuestOrigin | null {
  if (manifest?.host === undefined) return null;
  const { host, machine, createdAt } = manifest;
  return { what: 'archive', host, machine, createdAt };
}
