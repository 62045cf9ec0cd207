/**
 * The disks that a machine writes to in the place of a replica's own: a folder with an image for each, over what the target holds.
 *
 *   FOLDER/<purpose>-<8 digits of the replica>/disk<n>.qcow2, serial.log
 *
 * The target's disks are read below them and never written, so the replica stays what the VM held. The other way round, it must
 * not change while a machine runs on the clone: see rehearsal-note.ts.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Progress, Warning } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { openVolume, readPartitions } from '../filesystems/index.ts';
import {
  checkConversion,
  convertClone,
  devicesOf,
  type Conversion,
  type MachineOwner,
  type OwnedMachine,
} from '../hypervisors/index.ts';
import { cloneDisk, type DiskSource, type MachineChoices } from '../machines/index.ts';
import { targetFaults, type Target } from '../targets/index.ts';
import { rehearsalFaults } from './rehearsal-faults.ts';
import { historyOf } from './replicate-history.ts';
import { generationOf, machineOfReplica } from './replica-machine.ts';
import type { GenerationDisk, Replica } from './replicate-state.ts';
import { specOf } from './replicate-target.ts';

export interface ReplicaCloneRequest {
  readonly target: Target;
  readonly purpose: MachineOwner['purpose'];
  /** Absolute; the clone gets a folder in it. */
  readonly folder: string;
  readonly conversion: Conversion;
  readonly choices?: Omit<MachineChoices, 'devices'>;
  /** One that the target keeps, in the place of what it holds now; the replica has it as its generation. */
  readonly kept?: number | undefined;
}

type ClonedReplica = Pick<Replica, 'id' | 'state'>;

export class ReplicaClone {
  readonly #request: ReplicaCloneRequest;

  constructor(request: ReplicaCloneRequest) {
    this.#request = request;
  }

  folderOf({ id }: Pick<Replica, 'id'>): string {
    return join(this.#request.folder, `${this.#request.purpose}-${id.slice(0, 8)}`);
  }

  /** As it would be; nothing is made. Throws `REPLICA_NO_GENERATION`, `MACHINE_UNKNOWN_NETWORK`. */
  describe(replica: ClonedReplica): { readonly machine: OwnedMachine; readonly notes: readonly Warning[] } {
    const { purpose, conversion, choices } = this.#request;
    const folder = this.folderOf(replica);
    return machineOfReplica(replica, {
      purpose,
      choices: { ...choices, devices: devicesOf(conversion) },
      sourceOf: (disk) => ({ kind: 'file', path: this.imageOf(replica, disk), format: 'qcow2' }),
      serialLog: join(folder, 'serial.log'),
    });
  }

  /** The same, after whatever could keep the clone from being made was looked for. Any `CONVERSION_` or `TARGET_` fault. */
  async plan(replica: ClonedReplica, options: CallOptions = {}): Promise<OwnedMachine> {
    const { machine } = this.describe(replica);
    for (const disk of generationOf(replica).disks) this.#sourceOf(replica, disk);
    await checkConversion(await this.#conversion(replica, options), options);
    return machine;
  }

  /** Made anew, of what the target holds; what an earlier attempt left goes. The target must hold the generation alone. */
  async make(
    replica: ClonedReplica,
    options: CallOptions & { readonly progress?: Progress } = {},
  ): Promise<void> {
    const { machine } = this.describe(replica);
    const { disks } = generationOf(replica);
    await this.drop(replica);
    options.progress?.phase('cloning the disks');
    await makeFolder(this.folderOf(replica), machine.serialLog!);
    for (const disk of disks) {
      options.signal?.throwIfAborted();
      await cloneDisk(
        { source: this.#sourceOf(replica, disk), size: disk.size },
        this.imageOf(replica, disk),
      );
    }
    const conversion = await this.#conversion(replica, options);
    if (conversion.conversion === 'virt-v2v-in-place') options.progress?.phase('converting the clone');
    await convertClone(machine, conversion, options);
  }

  /** One that is gone is a success. */
  async drop(replica: Pick<Replica, 'id'>): Promise<void> {
    await rm(this.folderOf(replica), { recursive: true, force: true });
  }

  /** What the machine writes to in the place of a disk. */
  imageOf(replica: ClonedReplica, { diskId, size, logicalSectorSize }: GenerationDisk): string {
    const { number } = specOf(replica, { diskId, size, logicalSectorSize });
    return join(this.folderOf(replica), `disk${number}.qcow2`);
  }

  #sourceOf(replica: ClonedReplica, disk: GenerationDisk): DiskSource {
    const { target, kept } = this.#request;
    const spec = specOf(replica, disk);
    if (kept !== undefined) return historyOf(replica, target).sourceOf(kept, spec);
    if (!target.sourceOf) throw targetFaults.notReadByQemu({ place: target.placeOf(spec) });
    return target.sourceOf(spec);
  }

  /** Whether the guest is Windows is looked at only when it matters. */
  async #conversion(
    replica: ClonedReplica,
    options: CallOptions,
  ): Promise<{ readonly conversion: Conversion; readonly hasWindows: boolean }> {
    const { conversion, target } = this.#request;
    let hasWindows = false;
    if (conversion === 'virt-v2v-in-place')
      for (const disk of generationOf(replica).disks)
        hasWindows ||= await hasNtfs(target, replica, disk, options);
    return { conversion, hasWindows };
  }
}

async function makeFolder(folder: string, serialLog: string): Promise<void> {
  try {
    // Whoever runs the machine may be another user, who must get to the images and needs no more.
    await mkdir(folder, { recursive: true, mode: 0o711 });
    // Ours before anybody writes to it: libvirt would make one that only root can read.
    await writeFile(serialLog, '');
  } catch (error) {
    throw rehearsalFaults.folderUnusable(
      { path: folder, reason: (error as Error).message },
      { cause: error },
    );
  }
}

async function hasNtfs(
  target: Target,
  replica: ClonedReplica,
  disk: GenerationDisk,
  options: CallOptions,
): Promise<boolean> {
  const opened = await target.openDisk(specOf(replica, disk), options);
  try {
    const { partitions } = await readPartitions(opened, options).catch(() => ({ partitions: [] }));
    for (const partition of partitions)
      if ((await openVolume(opened, partition, options)).fileSystem === 'ntfs') return true;
    return false;
  } finally {
    await opened.close();
  }
}
