/**
 * The settings of a VM as plain data, for the manifest: enough to build the VM again by hand or by a target.
 *
 * docs/formats/vm.md names every field and the property it comes from. A number of the host that has a name here is told by
 * the name; one that has none, from a later Windows, is kept as the number.
 */
import type { CallOptions } from '../disk/index.ts';
import type { CimInstance } from '../winrm/index.ts';
import {
  INTEGRATION_SERVICES,
  Msvm_MemorySettingData,
  Msvm_ProcessorSettingData,
  Msvm_SecuritySettingData,
} from './classes/devices.ts';
import { readFirmware, type VmFirmware } from './configuration-firmware.ts';
import { ConfigurationGaps } from './configuration-gaps.ts';
import { readAdapters, type VmNetworkAdapter } from './configuration-network.ts';
import {
  devicesOf,
  named,
  ownedBy,
  present,
  wholeOf,
  type Devices,
  type Named,
} from './configuration-values.ts';
import {
  storageOfSettings,
  type AttachedDisk,
  type Controller,
  type DvdDrive,
  type Storage,
} from './disks.ts';
import type { Host } from './host.ts';
import { currentSettings, type SettingsRow } from './settings.ts';
import { generationOf } from './vms.ts';

/** Configurations without a version, from before there was one, have a subset of these fields with the same meaning. */
export const CONFIGURATION_VERSION = 2;

/** JSON throughout. What the host does not tell is absent. */
export interface VmConfiguration {
  /** Of this form. */
  readonly version: number;
  readonly id: string;
  readonly name: string;
  readonly generation?: number;
  readonly configurationVersion?: string;
  readonly notes: readonly string[];
  readonly processors?: number;
  readonly processor?: VmProcessor;
  readonly memory?: VmMemory;
  readonly controllers: readonly Controller[];
  readonly disks: readonly AttachedDisk[];
  readonly dvdDrives: readonly DvdDrive[];
  readonly networkAdapters: readonly VmNetworkAdapter[];
  readonly firmware: VmFirmware;
  readonly security: VmSecurity;
  /** Offered to the guest or not. */
  readonly integrationServices: { readonly [name in keyof typeof INTEGRATION_SERVICES]?: boolean };
  readonly automatic: VmAutomatic;
  readonly checkpoints: {
    readonly kind?: Named<typeof CHECKPOINT_KINDS>;
    /** One at each start. */
    readonly automatic?: boolean;
  };
  readonly files: VmFiles;
  /** Classes of the host that it failed to answer for, and why; absent when it answered for all. */
  readonly unread?: { readonly classes: readonly string[]; readonly reason: string };
}

/** Reservation and limit of 100 000. */
export interface VmProcessor {
  readonly reservation?: number;
  readonly limit?: number;
  readonly weight?: number;
  /** Limited to what processors of other hosts have too. */
  readonly migratable?: boolean;
  readonly oldGuests?: boolean;
  readonly nestedVirtualization?: boolean;
  readonly threadsPerCore?: number;
  readonly perNumaNode?: number;
  readonly numaNodesPerSocket?: number;
}

export interface VmMemory {
  readonly startupMiB: number;
  readonly dynamic: boolean;
  readonly minimumMiB: number;
  readonly maximumMiB: number;
  readonly bufferPercent?: number;
  readonly weight?: number;
}

export interface VmSecurity {
  readonly tpm?: boolean;
  readonly shielded?: boolean;
  readonly dataProtected?: boolean;
  readonly encryptedState?: boolean;
  readonly keyStorageDrive?: boolean;
  readonly withoutVirtualizationBasedSecurity?: boolean;
}

export interface VmAutomatic {
  readonly start?: Named<typeof START_ACTIONS>;
  readonly startDelaySeconds?: number;
  readonly startOrder?: number;
  readonly stop?: Named<typeof STOP_ACTIONS>;
  readonly recovery?: Named<typeof RECOVERY_ACTIONS>;
  /** When the VM's storage is lost. */
  readonly storageLost?: Named<typeof STORAGE_ACTIONS>;
}

export interface VmFiles {
  readonly root?: string;
  readonly configurationFile?: string;
  readonly guestStateFile?: string;
  readonly guestStateRoot?: string;
  readonly checkpointRoot?: string;
  readonly swapRoot?: string;
}

export const START_ACTIONS = { 2: 'none', 3: 'if-it-ran', 4: 'always' } as const;
const STOP_ACTIONS = { 2: 'turn-off', 3: 'save', 4: 'shut-down' } as const;
const RECOVERY_ACTIONS = { 2: 'none', 3: 'restart', 4: 'revert' } as const;
const STORAGE_ACTIONS = { 0: 'none', 1: 'pause' } as const;
const CHECKPOINT_KINDS = { 2: 'disabled', 3: 'production', 4: 'production-only', 5: 'standard' } as const;

const NO_STORAGE: Storage = { controllers: [], disks: [], dvdDrives: [] };

/** What the host fails to answer is left out and named in `unread`; without the settings themselves, its fault is thrown. */
export async function readConfiguration(
  host: Host,
  vmId: string,
  options: CallOptions,
): Promise<VmConfiguration> {
  const settings = await currentSettings(host, vmId, options);
  const generation = generationOf(settings.VirtualSystemSubType);
  const gaps = new ConfigurationGaps(options);
  const devices: Devices = (cls) =>
    gaps.filled(cls.name, () => devicesOf(host, settings.InstanceID, cls, options), []);
  const [memory] = await devices(Msvm_MemorySettingData);
  const [processor] = await devices(Msvm_ProcessorSettingData);
  const owned: Devices = (cls) =>
    gaps.filled(cls.name, () => ownedBy(host, settings.InstanceID, cls, options), []);
  const [security] = await owned(Msvm_SecuritySettingData);
  const storage = (): Promise<Storage> => storageOfSettings(host, settings.InstanceID, options);
  const configuration = {
    version: CONFIGURATION_VERSION,
    id: vmId,
    name: settings.ElementName ?? vmId,
    ...present({
      generation,
      configurationVersion: settings.Version,
      processors: wholeOf(processor?.VirtualQuantity),
      processor: processor && processorOf(processor),
      memory: memory && memoryOf(memory),
    }),
    notes: settings.Notes,
    ...(await gaps.filled('storage', storage, NO_STORAGE)),
    networkAdapters: await readAdapters(host, { devices, owned, gaps }, options),
    firmware: await readFirmware(settings, generation, owned),
    security: security ? securityOf(security) : {},
    integrationServices: await servicesOf(devices),
    automatic: automaticOf(settings),
    checkpoints: present({
      kind: named(CHECKPOINT_KINDS, settings.UserSnapshotType),
      automatic: settings.AutomaticSnapshotsEnabled,
    }),
    files: filesOf(settings),
  };
  const { unread, reason } = gaps;
  return unread.length === 0
    ? configuration
    : { ...configuration, unread: { classes: [...new Set(unread)], reason } };
}

function processorOf(row: CimInstance<typeof Msvm_ProcessorSettingData>): VmProcessor {
  return present({
    reservation: wholeOf(row.Reservation),
    limit: wholeOf(row.Limit),
    weight: row.Weight,
    migratable: row.LimitProcessorFeatures,
    oldGuests: row.LimitCPUID,
    nestedVirtualization: row.ExposeVirtualizationExtensions,
    threadsPerCore: wholeOf(row.HwThreadsPerCore),
    perNumaNode: wholeOf(row.MaxProcessorsPerNumaNode),
    numaNodesPerSocket: wholeOf(row.MaxNumaNodesPerSocket),
  });
}

function memoryOf(row: CimInstance<typeof Msvm_MemorySettingData>): VmMemory {
  return {
    startupMiB: Number(row.VirtualQuantity ?? 0),
    dynamic: row.DynamicMemoryEnabled ?? false,
    minimumMiB: Number(row.Reservation ?? 0),
    maximumMiB: Number(row.Limit ?? 0),
    ...present({ bufferPercent: row.TargetMemoryBuffer, weight: row.Weight }),
  };
}

function securityOf(row: CimInstance<typeof Msvm_SecuritySettingData>): VmSecurity {
  return present({
    tpm: row.TpmEnabled,
    shielded: row.ShieldingRequested,
    dataProtected: row.DataProtectionRequested,
    encryptedState: row.EncryptStateAndVmMigrationTraffic,
    keyStorageDrive: row.KsdEnabled,
    withoutVirtualizationBasedSecurity: row.VirtualizationBasedSecurityOptOut,
  });
}

async function servicesOf(devices: Devices): Promise<VmConfiguration['integrationServices']> {
  const offered: Record<string, boolean> = {};
  for (const [name, cls] of Object.entries(INTEGRATION_SERVICES)) {
    const [row] = await devices(cls);
    if (row?.EnabledState != null) offered[name] = row.EnabledState === 2;
  }
  return offered;
}

function automaticOf(settings: SettingsRow): VmAutomatic {
  return present({
    start: named(START_ACTIONS, settings.AutomaticStartupAction),
    startDelaySeconds: settings.AutomaticStartupActionDelay?.intervalSeconds,
    startOrder: settings.AutomaticStartupActionSequenceNumber,
    stop: named(STOP_ACTIONS, settings.AutomaticShutdownAction),
    recovery: named(RECOVERY_ACTIONS, settings.AutomaticRecoveryAction),
    storageLost: named(STORAGE_ACTIONS, settings.AutomaticCriticalErrorAction),
  });
}

function filesOf(settings: SettingsRow): VmFiles {
  return present({
    root: settings.ConfigurationDataRoot,
    configurationFile: settings.ConfigurationFile,
    guestStateFile: settings.GuestStateFile,
    guestStateRoot: settings.GuestStateDataRoot,
    checkpointRoot: settings.SnapshotDataRoot,
    swapRoot: settings.SwapFileDataRoot,
  });
}
