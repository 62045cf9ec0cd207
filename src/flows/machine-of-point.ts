/**
 * The VM of a served restore point as a machine that starts from it.
 *
 *   settings of the point ─┐
 *   its exports ───────────┴─► machine ─► FOLDER/@machine/qemu.sh or domain.xml
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Warning } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { VmConfiguration } from '../hyperv/index.ts';
import {
  accelerator,
  describeMachine,
  findUefi,
  libvirtDomain,
  machineFaults,
  checkMachineFolder,
  prepareMachineFolder,
  QEMU,
  qemuArguments,
  shellLine,
  type CapturedDisk,
  type Machine,
  type MachineChoices,
} from '../machines/index.ts';
import { parseNbdAddress } from '../nbd/index.ts';
import type { Repository, RestorePoint } from '../repository/index.ts';
import { attachmentOfPoint } from './point-attachment.ts';
import type { ServedExport } from './serve-point.ts';
import { readSettings } from './vm-settings.ts';

export const MACHINE_KINDS = ['qemu', 'libvirt-xml'] as const;
type MachineKind = (typeof MACHINE_KINDS)[number];

export interface MachineRequest {
  readonly kind: MachineKind;
  readonly choices: MachineChoices;
}

export interface PointMachine {
  readonly kind: MachineKind;
  /** Of the file with the definition: a script for a shell, or XML. */
  readonly path: string;
  readonly definition: string;
  /** Arguments of QEMU; empty for libvirt. */
  readonly command: readonly string[];
  /** What the machine has not of the VM. */
  readonly notes: readonly Warning[];
}

/** No disk has a folder of this name: an `@` in the name of a disk becomes something else. */
const FOLDER = '@machine';

export interface ServedPoint {
  readonly point: RestorePoint;
  readonly exports: readonly ServedExport[];
  /** Of what is written to the disks. */
  readonly overlay: string;
}

/** Throws `MACHINE_UNKNOWN_NETWORK`, `MACHINE_NETWORK_OF_LIBVIRT`, `MACHINE_NO_FIRMWARE`, `MACHINE_PATH_UNUSABLE`. */
export async function machineOfPoint(
  repository: Repository,
  served: ServedPoint,
  { kind, choices }: MachineRequest,
  options: CallOptions = {},
): Promise<PointMachine> {
  const settings = await readSettings(repository, served.point, options);
  const isRead = settings instanceof Uint8Array;
  const configuration = isRead
    ? (JSON.parse(Buffer.from(settings).toString()) as Partial<VmConfiguration>)
    : {};
  const disks = served.exports.map((each) => capturedDisk(served.point, each, configuration));
  const { machine, notes } = describeMachine({ ...served.point.vm, configuration, disks }, choices);
  const folder = join(served.overlay, FOLDER);
  checkMachineFolder(folder);
  const made = kind === 'qemu' ? await forQemu(machine, folder) : await forLibvirt(machine, folder);
  try {
    await writeFile(made.path, made.definition);
  } catch (error) {
    throw machineFaults.pathUnusable({ path: made.path, reason: (error as Error).message }, { cause: error });
  }
  return { kind, ...made, notes: [...(isRead ? [] : [settings]), ...notes] };
}

type Made = Pick<PointMachine, 'path' | 'definition' | 'command'>;

async function forQemu(machine: Machine, folder: string): Promise<Made> {
  const firmware = machine.firmware === 'uefi' ? await findUefi(machine.secureBoot) : undefined;
  const command = qemuArguments(machine, { accelerator: await accelerator(), folder, firmware });
  await prepareMachineFolder(folder, firmware);
  return { path: join(folder, 'qemu.sh'), definition: `${shellLine([QEMU, ...command])}\n`, command };
}

async function forLibvirt(machine: Machine, folder: string): Promise<Made> {
  await prepareMachineFolder(folder);
  const definition = libvirtDomain(machine, { accelerator: await accelerator() });
  return { path: join(folder, 'domain.xml'), definition, command: [] };
}

function capturedDisk(
  { disks }: RestorePoint,
  { diskId, address }: ServedExport,
  configuration: Partial<VmConfiguration>,
): CapturedDisk {
  const disk = disks.find((each) => each.diskId === diskId)!;
  const { place, exportName } = parseNbdAddress(address);
  const { path, logicalSectorSize, physicalSectorSize } = disk;
  const source = { kind: 'nbd', place, exportName } as const;
  return { path, logicalSectorSize, physicalSectorSize, source, ...attachmentOfPoint(disk, configuration) };
}
