/** The disks of a checkpoint, opened and identified: VirtualDiskId decides, never path or slot. */
import type { CallOptions, RangeReader } from '../disk/index.ts';
import type { HostFiles } from '../hostfile/index.ts';
import type { AttachedDisk, Checkpoint, HyperV } from '../hyperv/index.ts';
import { openVhdxChain, type VhdxDisk } from '../vhdx/index.ts';
import { captureFaults } from './faults.ts';

export interface FrozenDisk {
  /** The attachment as the VM's own settings name it: reference points use these ids, not the checkpoint's. */
  readonly attached: AttachedDisk;
  readonly frozenPath: string;
  readonly reader: VhdxDisk;
  readonly hostFileBytes: number;
}

/**
 * Opens every virtual disk of the checkpoint and pairs it with the VM's attachment of the same slot. A disk that was
 * swapped while the checkpoint was made has another VirtualDiskId than the active file: `CAPTURE_WRONG_DISK`.
 */
export async function openFrozenDisks(
  hyperv: HyperV,
  files: HostFiles,
  vm: { id: string; name: string },
  checkpoint: Checkpoint,
  options: CallOptions,
): Promise<FrozenDisk[]> {
  const active = await hyperv.disks(vm.id, options);
  const frozen = (await hyperv.checkpointDisks(checkpoint, options)).filter(
    (each) => each.kind === 'virtual',
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
  const reader = await openVhdxChain(found.frozenPath, { open, ...options });
  try {
    const info = await hyperv.diskInfo(found.attached.path, options);
    if (info.virtualDiskId !== reader.virtualDiskId) {
      throw wrongDisk(
        vmName,
        found.attached,
        `it holds ${reader.virtualDiskId}, the VM uses ${info.virtualDiskId}`,
      );
    }
    return { ...found, reader, hostFileBytes };
  } catch (error) {
    await reader.close();
    throw error;
  }
}

export function slotOf(disk: AttachedDisk): string {
  return `${disk.controller.kind} ${disk.controller.number}:${disk.slot}`;
}

function wrongDisk(vm: string, disk: AttachedDisk, reason: string): Error {
  return captureFaults.wrongDisk({ vm, disk: slotOf(disk), reason });
}
