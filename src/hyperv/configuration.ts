/** The settings of a VM as plain data, for the manifest: enough to build the VM again by hand or by a target. */
import { hasCode } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { CimClass, CimInstance } from '../winrm/index.ts';
import {
  Msvm_MemorySettingData,
  Msvm_ProcessorSettingData,
  Msvm_SyntheticEthernetPortSettingData,
} from './classes/settings.ts';
import { disksOfSettings, type AttachedDisk } from './disks.ts';
import type { Host } from './host.ts';
import { componentsOf, currentSettings, type SettingsRow } from './settings.ts';
import { generationOf } from './vms.ts';

/** JSON throughout. What the host does not tell is absent. */
export interface VmConfiguration {
  readonly id: string;
  readonly name: string;
  readonly generation?: number;
  readonly configurationVersion?: string;
  readonly notes: readonly string[];
  readonly processors?: number;
  readonly memory?: {
    readonly startupMiB: number;
    readonly dynamic: boolean;
    readonly minimumMiB: number;
    readonly maximumMiB: number;
  };
  readonly disks: readonly AttachedDisk[];
  readonly networkAdapters: readonly {
    readonly name: string;
    /** Twelve hexadecimal digits. */
    readonly macAddress: string;
    readonly staticMacAddress: boolean;
  }[];
  readonly firmware: {
    readonly biosGuid?: string;
    readonly serialNumber?: string;
    /** Generation 1, in the host's numbers: 0 floppy, 1 CD, 2 IDE, 3 network, 4 SCSI. */
    readonly bootOrder: readonly number[];
    readonly secureBoot?: boolean;
    readonly secureBootTemplateId?: string;
  };
  readonly files: {
    readonly root?: string;
    readonly configurationFile?: string;
    readonly guestStateFile?: string;
  };
}

export async function readConfiguration(
  host: Host,
  vmId: string,
  options: CallOptions,
): Promise<VmConfiguration> {
  const settings = await currentSettings(host, vmId, options);
  const devices = <C extends CimClass>(cls: C): Promise<CimInstance<C>[]> =>
    devicesOf(host, settings.InstanceID, cls, options);
  const [memory] = await devices(Msvm_MemorySettingData);
  const [processor] = await devices(Msvm_ProcessorSettingData);
  const adapters = await devices(Msvm_SyntheticEthernetPortSettingData);
  return {
    id: vmId,
    name: settings.ElementName ?? vmId,
    ...present({
      generation: generationOf(settings.VirtualSystemSubType),
      configurationVersion: settings.Version,
      processors: processor?.VirtualQuantity == null ? undefined : Number(processor.VirtualQuantity),
      memory: memory && memoryOf(memory),
    }),
    notes: settings.Notes,
    disks: await disksOfSettings(host, settings.InstanceID, options),
    networkAdapters: adapters.map((row) => ({
      name: row.ElementName ?? '',
      macAddress: row.Address ?? '',
      staticMacAddress: row.StaticMacAddress ?? false,
    })),
    firmware: firmwareOf(settings),
    files: filesOf(settings),
  };
}

/** Devices of a class this host does not know are left out: the backup of a VM must not fail for a description of it. */
async function devicesOf<C extends CimClass>(
  host: Host,
  instanceId: string,
  cls: C,
  options: CallOptions,
): Promise<CimInstance<C>[]> {
  try {
    return await componentsOf(host, instanceId, cls, options);
  } catch (error) {
    if (hasCode(error, 'WINRM_BAD_FILTER', 'WINRM_CLASS_UNKNOWN')) return [];
    throw error;
  }
}

function memoryOf(row: CimInstance<typeof Msvm_MemorySettingData>): NonNullable<VmConfiguration['memory']> {
  return {
    startupMiB: Number(row.VirtualQuantity ?? 0),
    dynamic: row.DynamicMemoryEnabled ?? false,
    minimumMiB: Number(row.Reservation ?? 0),
    maximumMiB: Number(row.Limit ?? 0),
  };
}

function firmwareOf(settings: SettingsRow): VmConfiguration['firmware'] {
  return {
    bootOrder: settings.BootOrder,
    ...present({
      biosGuid: settings.BIOSGUID,
      serialNumber: settings.BIOSSerialNumber,
      secureBoot: settings.SecureBootEnabled,
      secureBootTemplateId: settings.SecureBootTemplateId,
    }),
  };
}

function filesOf(settings: SettingsRow): VmConfiguration['files'] {
  return present({
    root: settings.ConfigurationDataRoot,
    configurationFile: settings.ConfigurationFile,
    guestStateFile: settings.GuestStateFile,
  });
}

type Present<T> = { [K in keyof T]?: NonNullable<T[K]> };

/** The same object without what is null or undefined. */
function present<T extends object>(values: T): Present<T> {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== null && value !== undefined),
  ) as Present<T>;
}
