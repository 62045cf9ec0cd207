/** What can be protected is decided before the checkpoint is made, and what cannot is said then, not afterwards. */
import { warningOf, type Warning } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { AttachedDisk, HyperV, Vm } from '../hyperv/index.ts';
import { captureFaults } from './faults.ts';
import { slotOf } from './frozen-disks.ts';

/** 6.2 to 7.x come from previews of Windows 10; from 8.0 on every source agrees that tracking works. */
const TRACKING_SINCE_VERSION = 8;

export interface Preflight {
  readonly trackable: boolean;
  /** Slots that will be in the restore point. */
  readonly slots: ReadonlySet<string>;
  readonly warnings: readonly Warning[];
}

export async function preflight(
  hyperv: HyperV,
  vm: Vm,
  skipUnprotectable: boolean,
  options: CallOptions,
): Promise<Preflight> {
  if (vm.busy !== undefined) throw captureFaults.vmBusy({ vm: vm.name, activity: vm.busy });
  const slots = new Set<string>();
  const warnings: Warning[] = [];
  for (const disk of await hyperv.disks(vm.id, options)) {
    const fault = await unprotectable(hyperv, vm.name, disk, options);
    if (!fault) slots.add(slotOf(disk));
    else if (skipUnprotectable) warnings.push(warningOf(captureFaults.diskLeftOut({ why: fault.message })));
    else throw fault;
  }
  if (slots.size === 0) throw captureFaults.noDisks({ vm: vm.name });
  const trackable = Number.parseFloat(vm.configurationVersion ?? '0') >= TRACKING_SINCE_VERSION;
  if (!trackable) warnings.push(tooOld(vm));
  return { trackable, slots, warnings };
}

async function unprotectable(
  hyperv: HyperV,
  vm: string,
  disk: AttachedDisk,
  options: CallOptions,
): Promise<Error | undefined> {
  if (disk.kind === 'passthrough') {
    return captureFaults.unprotectableDisk({
      vm,
      disk: slotOf(disk),
      reason: 'it is a physical disk of the host',
    });
  }
  if (disk.shared) {
    return captureFaults.unprotectableDisk({
      vm,
      disk: slotOf(disk),
      reason: 'other VMs may write to it too',
    });
  }
  const info = await hyperv.diskInfo(disk.path, options);
  if (info.format !== 'vhdset') return undefined;
  return captureFaults.unreadableFormat({ vm, disk: slotOf(disk), format: info.format.toUpperCase() });
}

function tooOld(vm: Vm): Warning {
  const version = vm.configurationVersion ?? 'unknown';
  return warningOf(captureFaults.trackingUnsupported({ version, vm: vm.name }));
}
