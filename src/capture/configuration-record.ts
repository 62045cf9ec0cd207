/** The settings of a VM for its record: whatever the host fails to tell of them is a warning and costs no backup. */
import { isFault, warningOf, type Warning } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { CONFIGURATION_VERSION, type HyperV, type Vm, type VmConfiguration } from '../hyperv/index.ts';
import { captureFaults } from './faults.ts';

export interface ConfigurationRecord {
  readonly configuration: VmConfiguration;
  readonly warnings: readonly Warning[];
}

export async function readVmConfiguration(
  hyperv: HyperV,
  vm: Vm,
  options: CallOptions,
): Promise<ConfigurationRecord> {
  const configuration = await readOrNothing(hyperv, vm, options);
  const { unread } = configuration;
  if (!unread) return { configuration, warnings: [] };
  const classes = unread.classes.join(', ');
  const fault = captureFaults.configurationUnread({ vm: vm.name, classes, reason: unread.reason });
  return { configuration, warnings: [warningOf(fault)] };
}

async function readOrNothing(hyperv: HyperV, vm: Vm, options: CallOptions): Promise<VmConfiguration> {
  try {
    return await hyperv.configuration(vm.id, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    if (!isFault(error) || error.kind === 'bug') throw error;
    return nothingBut(vm, error.message);
  }
}

/** What listing the VM told. */
function nothingBut(vm: Vm, reason: string): VmConfiguration {
  return {
    version: CONFIGURATION_VERSION,
    id: vm.id,
    name: vm.name,
    ...(vm.generation === undefined ? {} : { generation: vm.generation }),
    ...(vm.configurationVersion === undefined ? {} : { configurationVersion: vm.configurationVersion }),
    notes: vm.notes ?? [],
    controllers: [],
    disks: [],
    dvdDrives: [],
    networkAdapters: [],
    firmware: { bootOrder: [] },
    security: {},
    integrationServices: {},
    automatic: {},
    checkpoints: {},
    files: {},
    unread: { classes: ['all'], reason },
  };
}
