/**
 * The disks of a checkpoint, opened and identified: VirtualDiskId decides, never path or slot. A VHD has none: it is known by the
 * id of its base file, and the VM's active file must be the frozen one or a child of it.
 */
import type { CallOptions, RangeReader } from '../disk/index.ts';
import type { HostFiles } from '../hostfile/index.ts';
import type { AttachedDisk, Checkpoint, DiskInfo, HyperV } from '../hyperv/index.ts';
import { openVirtualDisk, type VirtualDisk } from '../virtualdisk/index.ts';
import { captureFaults } from './faults.ts';
import type { SourceHost } from './source-host.ts';

type KnownDisk = Exclude<VirtualDisk, { format: 'raw' }>;

export interface FrozenDisk {
  /** The attachment as the VM's own settings name it: reference points use these ids, not the checkpoint's. */
  readonly attached: AttachedDisk;
  readonly frozenPath: string;
  /** The host tracks changes of VHDX alone. */
  readonly format: KnownDisk['format'];
  readonly reader: KnownDisk['disk'];
  readonly hostFileBytes: number;
}

interface Wanted {
  readonly checkpoint: Checkpoint;
  readonly slots: ReadonlySet<string>;
}

/**
 * Opens the virtual disks of the checkpoint in these slots and pairs each with the VM's attachment of the same slot. A disk that
 * was swapped while the checkpoint was made has another VirtualDiskId than the active file: `CAPTURE_WRONG_DISK`.
 */
export async function openFrozenDisks(
  host: SourceHost,
  vm: { id: string; name: string },
  { checkpoint, slots }: Wanted,
  options: CallOptions,
): Promise<FrozenDisk[]> {
  const { hyperv, files } = host;
  const active = await hyperv.disks(vm.id, options);
  const frozen = (await hyperv.checkpointDisks(checkpoint, options)).filter(
    (each) => each.kind === 'virtual' && slots.has(slotOf(each)),
  );
  const opened: FrozenDisk[] = [];
  try {
    for (const disk of frozen) {
      const attached = active.find((each) => slotOf(each) === slotOf(disk));
      if (!attached) throw wrongDisk(vm.name, disk, 'its slot is empty now');
      opened.push(await openFrozenDisk(hyperv, files, vm.name, { attached, frozenPath: disk.path }, options));
    }
    return opened;
  } catch (error) {
    await Promise.allSettled(opened.map((each) => each.reader.close()));
    throw error;
  }
}

async function openFrozenDisk(
  hyperv: HyperV,
  files: HostFiles,
  vmName: string,
  found: { attached: AttachedDisk; frozenPath: string },
  options: CallOptions,
): Promise<FrozenDisk> {
  let hostFileBytes = 0;
  const open = async (path: string): Promise<RangeReader> => {
    const file = await files.open(path, options);
    hostFileBytes += file.size;
    return file;
  };
  const opened = await openVirtualDisk(found.frozenPath, { open, ...options });
  try {
    if (opened.format === 'raw') throw wrongDisk(vmName, found.attached, 'it is no virtual disk file');
    const info = await hyperv.diskInfo(found.attached.path, options);
    const problem =
      opened.format === 'vhd'
        ? notOfActive(found.frozenPath, found.attached.path, info)
        : otherIdentity(opened.disk.virtualDiskId, info);
    if (problem !== undefined) throw wrongDisk(vmName, found.attached, problem);
    return { ...found, format: opened.format, reader: opened.disk, hostFileBytes };
  } catch (error) {
    await opened.disk.close();
    throw error;
  }
}

function otherIdentity(virtualDiskId: string, info: DiskInfo): string | undefined {
  if (info.virtualDiskId === virtualDiskId) return undefined;
  return `it holds ${virtualDiskId}, the VM uses ${info.virtualDiskId}`;
}

/** Windows compares paths without regard to case. */
function notOfActive(frozenPath: string, activePath: string, { parentPath }: DiskInfo): string | undefined {
  const frozen = frozenPath.toLowerCase();
  if (activePath.toLowerCase() === frozen || parentPath?.toLowerCase() === frozen) return undefined;
  return `the VM uses ${activePath}, which is no child of ${frozenPath}`;
}

export function slotOf(disk: AttachedDisk): string {
  return `${disk.controller.kind} ${disk.controller.number}:${disk.slot}`;
}

function wrongDisk(vm: string, disk: AttachedDisk, reason: string): Error {
  return captureFaults.wrongDisk({ vm, disk: slotOf(disk), reason });
}
