/** Plugging things into VMs: controllers, disks, DVDs, physical disks. What an administrator does, by the control API. */
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { newGuid } from '../../src/base/index.ts';
import type { HostCore } from './core.ts';
import { makeDiskFile, type DiskContent } from './disk-files.ts';
import { LabFailure } from './failure.ts';
import type { ControllerState, DiskState, DriveState } from './host-state.ts';
import type { Machine } from './machine.ts';
import { controllerNumber } from './object-paths.ts';
import { RETURN } from './return-codes.ts';
import { TruthLog } from './truth-log.ts';
import type { VirtualDisk } from './virtual-disk.ts';

const SLOTS = { ide: 2, scsi: 64 } as const;

export interface Place {
  readonly controller: 'ide' | 'scsi';
  /** Among the controllers of its kind; default 0. */
  readonly number?: number;
  /** Default: the first free one. */
  readonly slot?: number;
}

export interface DiskSpec extends DiskContent {
  /** Base name of the file; default `disk`. */
  readonly name?: string;
  /** Full path on the host; default `<disksFolder>\<VM>\<name>.vhdx`. */
  readonly path?: string;
  readonly at?: Place;
  /** Other VMs may write to it too. */
  readonly shared?: true;
}

export function controllersOf(generation: 1 | 2, scsiControllers: number): ControllerState[] {
  const scsi = Array.from({ length: scsiControllers }, () => ({
    kind: 'scsi' as const,
    id: newGuid().toUpperCase(),
  }));
  const ide: ControllerState[] = [
    { kind: 'ide', id: '0' },
    { kind: 'ide', id: '1' },
  ];
  return generation === 1 ? [...ide, ...scsi] : scsi;
}

/** Makes a disk and puts it into a drive. */
export async function addDisk(core: HostCore, machine: Machine, spec: DiskSpec): Promise<VirtualDisk> {
  const place = freePlace(machine, spec.at);
  const disk = await makeDisk(core, machine, spec);
  const shared = spec.shared ? ({ shared: true } as const) : {};
  const drive: DriveState = { ...place, kind: 'disk', diskId: disk.state.id, ...shared };
  machine.state.drives = sorted([...machine.state.drives, drive]);
  core.state.disks.push(disk.state);
  await changed(core, machine);
  return disk;
}

async function makeDisk(core: HostCore, machine: Machine, spec: DiskSpec): Promise<VirtualDisk> {
  const path =
    spec.path ??
    freePath(core, `${core.options.disksFolder}\\${fileSafe(machine.state.name)}\\${spec.name ?? 'disk'}`);
  refuseTaken(core, path);
  const local = await core.volumes.prepare(path);
  const staging = join(core.folder, 'truth', `new-${newGuid()}`);
  await mkdir(staging, { recursive: true });
  try {
    const info = await makeDiskFile(local, join(staging, 'base.raw'), spec);
    const id = info.virtualDiskId.toUpperCase();
    if (core.disks.has(id)) throw new LabFailure(RETURN.inUse, `a disk with the id ${id} is here already`);
    const truth = await TruthLog.create(staging, info.size);
    await truth.close();
    return await core.adoptDisk(stateOf(id, path, info), staging);
  } catch (error) {
    await rm(local, { force: true });
    await rm(staging, { recursive: true, force: true });
    throw error;
  }
}

function stateOf(
  id: string,
  path: string,
  info: { size: number; logicalSectorSize: number; physicalSectorSize: number },
): DiskState {
  const { size, logicalSectorSize, physicalSectorSize } = info;
  return { id, size, logicalSectorSize, physicalSectorSize, files: [{ path }] };
}

/** Making a file fails where one lies, and what a failed making leaves is removed: another disk's file must not be at its place. */
function refuseTaken(core: HostCore, path: string): void {
  if (core.diskAt(path)) throw new LabFailure(RETURN.inUse, `${path} is the file of another disk`);
}

function refuseChain(disk: VirtualDisk): void {
  if (disk.state.files.length > 1) {
    throw new LabFailure(RETURN.invalidState, 'the disk has checkpoints or merges under way');
  }
}

function freePath(core: HostCore, stem: string): string {
  for (let i = 1; ; i += 1) {
    const path = `${stem}${i === 1 ? '' : `-${i}`}.vhdx`;
    if (!core.diskAt(path)) return path;
  }
}

function fileSafe(name: string): string {
  return name.replace(/[\\/:*?"<>|]/g, '_');
}

/** Puts a disk that is in no drive into one. */
export async function attachDisk(
  core: HostCore,
  machine: Machine,
  diskId: string,
  at?: Place,
): Promise<void> {
  const disk = core.disks.get(diskId.toUpperCase());
  if (!disk) throw new LabFailure(RETURN.fileNotFound, `there is no disk ${diskId}`);
  if (core.machineOf(disk)) throw new LabFailure(RETURN.inUse, `${diskId} is in a drive already`);
  const drive: DriveState = { ...freePlace(machine, at), kind: 'disk', diskId: disk.state.id };
  machine.state.drives = sorted([...machine.state.drives, drive]);
  await changed(core, machine);
}

/** Takes a disk out of its drive; its files stay. Refused while a checkpoint or a merge holds its chain. */
export async function detachDisk(core: HostCore, machine: Machine, diskId: string): Promise<void> {
  const disk = machine.disk(diskId);
  await machine.lock.run(async () => {
    refuseChain(disk);
    await disk.settle();
    machine.cache.drop(disk.state.id);
    machine.state.drives = machine.state.drives.filter((drive) => drive.diskId !== disk.state.id);
  });
  await changed(core, machine);
}

/** Another disk in the same slot: the InstanceID stays, the disk does not. */
export async function replaceDisk(
  core: HostCore,
  machine: Machine,
  diskId: string,
  spec: DiskSpec,
): Promise<VirtualDisk> {
  const old = machine.disk(diskId);
  const drive = machine.state.drives.find((one) => one.diskId === old.state.id)!;
  const { kind } = machine.state.controllers[drive.controller]!;
  const number = controllerNumber(machine.state.controllers, drive.controller);
  await detachDisk(core, machine, diskId);
  return addDisk(core, machine, { ...spec, at: { controller: kind, number, slot: drive.slot } });
}

export async function resizeDisk(
  core: HostCore,
  machine: Machine,
  diskId: string,
  size: number,
): Promise<void> {
  const disk = machine.disk(diskId);
  if (size <= 0 || size % disk.state.logicalSectorSize !== 0) {
    throw new LabFailure(RETURN.invalidParameter, `${size} bytes are no whole number of sectors`);
  }
  await machine.lock.run(async () => {
    refuseChain(disk);
    await disk.resize(size);
    machine.cache.drop(disk.state.id, size);
  });
  await changed(core, machine);
}

/** The file of a disk, and what is known of its changes, under another name: what a storage migration ends in. */
export async function moveDisk(
  core: HostCore,
  machine: Machine,
  diskId: string,
  path: string,
): Promise<void> {
  const disk = machine.disk(diskId);
  refuseTaken(core, path);
  await machine.lock.run(async () => {
    refuseChain(disk);
    const [file] = disk.state.files;
    const from = core.volumes.localPath(file!.path);
    const to = await core.volumes.prepare(path);
    await disk.close();
    await rename(from, to);
    for (const extension of ['.rct', '.mrt']) await rename(from + extension, to + extension);
    file!.path = path;
    await core.openDisk(disk.state);
  });
  await changed(core, machine);
}

/**
 * The file of a disk is exchanged for another copy with the same identity, as after a restore by another tool. Tracking
 * begins anew: what a real host does is not documented, and a host that noticed nothing could not be backed up by changes.
 */
export async function exchangeDisk(
  machine: Machine,
  diskId: string,
  content: { readonly offset: number; readonly bytes: Uint8Array },
): Promise<void> {
  const disk = machine.disk(diskId);
  await machine.lock.run(async () => {
    refuseChain(disk);
    await disk.exchange(content.offset, content.bytes);
  });
}

/** A DVD or a pass-through disk. */
export async function addDrive(
  core: HostCore,
  machine: Machine,
  drive: { readonly kind: 'dvd' | 'physical'; readonly path: string; readonly at?: Place },
): Promise<void> {
  const place = freePlace(machine, drive.at);
  machine.state.drives = sorted([...machine.state.drives, { ...place, kind: drive.kind, path: drive.path }]);
  await changed(core, machine);
}

function freePlace(machine: Machine, at?: Place): { controller: number; slot: number } {
  const { controllers, drives } = machine.state;
  for (const [index, { kind }] of controllers.entries()) {
    if (at && (kind !== at.controller || controllerNumber(controllers, index) !== (at.number ?? 0))) continue;
    for (let slot = at?.slot ?? 0; slot < (at?.slot === undefined ? SLOTS[kind] : at.slot + 1); slot += 1) {
      if (!drives.some((drive) => drive.controller === index && drive.slot === slot)) {
        return { controller: index, slot };
      }
    }
  }
  throw new LabFailure(RETURN.invalidState, `${machine.state.name} has no such place, or it is taken`);
}

function sorted(drives: DriveState[]): DriveState[] {
  return drives.sort((a, b) => a.controller - b.controller || a.slot - b.slot);
}

async function changed(core: HostCore, machine: Machine): Promise<void> {
  machine.state.configuredAt = core.clock.now();
  await core.save();
}
